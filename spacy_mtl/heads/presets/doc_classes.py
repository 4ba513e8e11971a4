"""The presets of doc classifiers: exclusive classes, and any number of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from spacy.tokens import Doc

from ...protocols.head_preset import Offer
from .class_groups import ClassGroup, find_class_groups
from .preset import Preset


@dataclass(frozen=True)
class DocClasses(Preset):
    """Classes of docs, from `doc.cats`.

    exclusive (bool): Whether a doc has one class.
    """

    exclusive: bool = True

    def offers(self, docs: Sequence[Doc]) -> list[Offer]:
        """Offer a head for each group of classes of this kind."""
        return [self._offer(group) for group in find_class_groups(docs) if group.exclusive == self.exclusive]

    def _offer(self, group: ClassGroup) -> Offer:
        name = group.prefix[:-1].strip().replace(".", "_") or ("textcat" if self.exclusive else "textcat_multilabel")
        settings = {"label_prefix": group.prefix} if group.prefix else {}
        if self.exclusive:
            return Offer(name, f"each of {group.n_docs:,} docs has exactly one of {len(group.keys)} classes", settings)
        counts = f"{group.n_several:,} have several of {len(group.keys)} classes, {group.n_none:,} have none"
        return Offer(name, f"of {group.n_docs:,} docs {counts}", settings)


textcat = DocClasses(
    head="spacy_mtl.DocClassifier.v1", what="one class of each doc", unit="docs", settings={"exclusive": True}
)
textcat_multilabel = DocClasses(
    head="spacy_mtl.DocClassifier.v1",
    what="any number of classes of each doc",
    unit="docs",
    settings={"exclusive": False},
    exclusive=False,
)
