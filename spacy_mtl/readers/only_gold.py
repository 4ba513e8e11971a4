"""A reader that leaves out docs from which no head of the pipeline can learn."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from spacy.language import Language
from spacy.training import Example

from ..origin import may_learn
from ..protocols.head import Head
from ..protocols.head_labels import HasLabels
from ..teaching import is_taught
from .pipeline_heads import heads_of


def make_only_gold_v1(reader: Callable[[Language], Iterable[Example]]) -> "OnlyGold":
    """Build a reader that passes on the docs of another reader that carry gold of at least one head of the pipeline.

    reader (Callable[[Language], Iterable[Example]]): Any spaCy reader.
    """
    return OnlyGold(reader)


class OnlyGold:
    """The reader. Without heads in the pipeline it passes on nothing."""

    def __init__(self, reader: Callable[[Language], Iterable[Example]]) -> None:
        self.reader = reader
        # Messages about broken corpora name the file.
        self.path: Any = getattr(reader, "path", None)

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples that a head of any component, disabled ones included, can learn from."""
        heads = heads_of(nlp.components)
        return (eg for eg in self.reader(nlp) if carries_gold(eg, heads))


def carries_gold(example: Example, heads: Mapping[str, Head]) -> bool:
    """Whether at least one of the heads can learn from the example, or from what a teacher says of it. It may be asked
    before the heads have labels.
    """
    return any(
        may_learn(key, example.reference) and (has_gold(head, example) or is_taught(example.reference, key))
        for key, head in heads.items()
    )


def has_gold(head: Head, example: Example) -> bool:
    """Whether the head can learn from the example; of a head without labels yet, whether it would take labels there."""
    if head.has_gold(example):
        return True
    return isinstance(head, HasLabels) and not head.labels and any(True for _ in head.gold_labels(example.reference))
