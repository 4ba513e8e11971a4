"""The preset of entity recognizers, and how much a doc's class says about its entities."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from spacy.tokens import Doc
from spacy.training import Example

from ...protocols.decodes_jointly import DocClasses
from ...protocols.head import Head
from ...protocols.head_preset import Links, Offer
from .preset import Preset

# share of the entropy of entity types that a doc's class must explain, so that the recognizer should see the class
EXPLAINED = 0.2


class Entities(Preset):
    """Entities, from `doc.ents`."""

    def offers(self, docs: Sequence[Doc]) -> list[Offer]:
        """Offer a head if any doc has entities."""
        number, types = sum(bool(doc.ents) for doc in docs), {ent.label_ for doc in docs for ent in doc.ents}
        return [Offer("ner", f"{number:,} docs have entities, of {len(types)} types")] if number else []

    def links(self, docs: Sequence[Doc], others: Mapping[str, Head], *, pretrained: bool) -> Links:
        """Let the head see classes that say much about the types of entities. If there is one group of such classes,
        decode both together; this was measured on encoders that are not pretrained.
        """
        shares = {
            name: explained_by(head, docs)
            for name, head in others.items()
            if isinstance(head, DocClasses) and head.exclusive
        }
        seen = [name for name, share in shares.items() if share >= EXPLAINED]
        said = ", ".join(f"{name} explains {100 * share:.0f} % of it" for name, share in shares.items())
        if not seen:
            return Links({}, f"the type of an entity hardly depends on the class of the doc: {said}" if said else "")
        why = f"the type of an entity depends on the class of the doc ({said}, as entropy)"
        settings: dict[str, object] = {"condition_on": seen[0] if len(seen) == 1 else seen}
        if len(seen) == 1 and not pretrained:
            settings["consistent_with"] = seen[0]
        return Links(settings, why)

    def apart(self, name: str) -> dict[str, str]:
        """Write to a span group. The gold is still read from `doc.ents`."""
        return {"spans_key": name}


def explained_by(classes: DocClasses, docs: Sequence[Doc]) -> float:
    """Compute the share of the entropy of entity types that the class of the doc explains, from 0 to 1."""
    together: Counter[tuple[str, str]] = Counter()
    for doc, name in zip(docs, classes.gold_classes([Example(doc, doc) for doc in docs]), strict=True):
        if name is not None:
            together.update((name, ent.label_) for ent in doc.ents)
    of_types, of_classes = _totals(together, 1), _totals(together, 0)
    before = entropy(of_types)
    return (before + entropy(of_classes) - entropy(list(together.values()))) / before if before else 0.0


def entropy(counts: Sequence[int]) -> float:
    """The entropy of a distribution given by counts, in nats."""
    shares = np.array(counts, dtype="float64") / max(sum(counts), 1)
    return float(-(shares * np.log(shares)).sum())


def _totals(counts: Mapping[tuple[str, str], int], place: int) -> list[int]:
    totals: Counter[str] = Counter()
    for pair, number in counts.items():
        totals[pair[place]] += number
    return list(totals.values())


ner = Entities(
    head="spacy_mtl.EntityRecognizer.v1",
    what="entities",
    unit="tokens",
    augmenter={"@augmenters": "spacy_mtl.SwapEntities.v1", "level": 0.3, "entity_level": 1.0},
)
