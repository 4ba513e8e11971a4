"""Examples that together have all labels of a stream.

spaCy initialises a stream (`training.max_epochs = -1`) from its first 100 examples. A reader that has looked at the
whole stream, and needs more to show each label once, holds all of them here, and a component that is given the first of
them takes the rest too.
"""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from spacy.language import Language
from spacy.training import Example

_COVERS: "WeakKeyDictionary[Language, Sequence[Example]]" = WeakKeyDictionary()


def hold_cover(nlp: Language, cover: Sequence[Example]) -> None:
    """Hold the examples that a reader yields first while the pipeline is being initialised, in this order."""
    _COVERS[nlp] = cover


def complete(examples: list[Example], nlp: Language | None) -> list[Example]:
    """Add what was cut off: the same examples if they are not the beginning of the cover that is held."""
    cover = () if nlp is None else _COVERS.get(nlp, ())
    if len(examples) < len(cover) and all(eg is other for eg, other in zip(examples, cover, strict=False)):
        return [*examples, *cover[len(examples) :]]
    return examples
