"""Heads that say what their predictions are as numbers, so that it can be computed which tokens led to them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from spacy.tokens import Doc
from thinc.types import Ragged

from .arrays import AnnotationsT, FloatsT, ScoresT
from .cannot_explain import CannotExplain

# output of the head's network for a single doc -> the number to explain, and its gradient in the form of the output
MeasureT = Callable[[ScoresT], tuple[float, ScoresT]]
# longer numbers are outside of any doc, and of what Python converts
PLACED = re.compile(r"(.*)\[([0-9]{1,18}(?::[0-9]{1,18})*)\]", re.DOTALL)


class TargetName(NamedTuple):
    """The name of a target: a label, and the tokens that it is about, as in "PlayMusic", "artist[2:4]" or "NOUN[3]".

    label (str): The label, or "" for whatever label is predicted there.
    places (tuple[int, ...]): Indices of tokens, in the order that the head documents; empty for the whole doc.
    """

    label: str
    places: tuple[int, ...] = ()

    @classmethod
    def read(cls, text: str) -> "TargetName":
        """Read what `str` returns."""
        found = PLACED.fullmatch(text)
        return cls(found[1], tuple(map(int, found[2].split(":")))) if found else cls(text)

    def __str__(self) -> str:
        return f"{self.label}[{':'.join(map(str, self.places))}]" if self.places else self.label


@dataclass(frozen=True)
class Target:
    """Something that a head has predicted in a doc, or could have predicted, as a number.

    name (TargetName): Its name.
    unit (str): What the number is, such as "log-odds".
    tokens (tuple[int, ...]): The tokens that it is about; empty for the whole doc.
    measure (MeasureT): Computes the number and its gradient from the output of the head's network.
    """

    name: TargetName
    unit: str
    tokens: tuple[int, ...]
    measure: MeasureT


@runtime_checkable
class Explains(Protocol):
    """A head whose predictions can be explained. The docs of all calls are a batch of one."""

    def targets(self, doc: Doc, scores: ScoresT, annotations: AnnotationsT) -> list[Target]:
        """List what the head has predicted in the doc, in the order in which it is shown.

        scores (ScoresT): The scores that were decoded.
        annotations (AnnotationsT): What was decoded.
        """

    def find_target(self, name: TargetName, doc: Doc, scores: ScoresT, annotations: AnnotationsT) -> Target:
        """Find a target that was not predicted, such as another class, or another label of the same token.

        RAISES CannotExplain: The head has no such target in the doc. The message says which ones there are. Any other
            error is taken for a fault of the head.
        """


@runtime_checkable
class Attends(Protocol):
    """A head that may weigh tokens by attention."""

    def attention(self, target: TargetName, tokvecs: Ragged, scores: ScoresT) -> FloatsT | None:
        """Get the weight of each token of a doc for a target, (n_tokens,), which sum to 1; None if the head is
        configured without attention.

        tokvecs (Ragged): The token vectors that the head sees.
        scores (ScoresT): The output of its network.
        """


def check_place(name: TargetName, doc: Doc, head: str, *, example: TargetName) -> tuple[int, ...]:
    """Get the places of a target's name. With two of them the last one may be the doc's end.

    RAISES CannotExplain: There are not as many as in the example, or not all of them are in the doc.
    """
    if len(name.places) != len(example.places):
        raise CannotExplain(
            f"head {head!r}: the target {str(name)!r} has {len(name.places)} token numbers in brackets, expected "
            f"{len(example.places)}, as in {str(example)!r}; its labels alone stand only for what is predicted"
        )
    outside = [place for place in name.places if place >= len(doc) + len(example.places) - 1]
    if outside:
        raise CannotExplain(
            f"head {head!r}: the target {str(name)!r} is outside of the doc, which has {len(doc)} tokens: "
            f"{[token.text for token in doc[:10]]}{' …' if len(doc) > 10 else ''}"
        )
    return name.places


def check_label(name: TargetName, labels: Sequence[str], head: str) -> int:
    """Get the index of the label of a target.

    RAISES CannotExplain: The head does not have it.
    """
    if name.label not in labels:
        shown = ", ".join(map(repr, labels[:20])) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
        raise CannotExplain(f"head {head!r}: there is no target {str(name)!r}; its labels are {shown}")
    return list(labels).index(name.label)
