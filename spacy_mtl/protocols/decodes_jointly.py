"""Heads that are decoded together with a doc's class."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from spacy.training import Example
from thinc.types import Floats2d

from .arrays import ScoresT


@runtime_checkable
class DocClasses(Protocol):
    """A head that gives docs classes. Its scores are logits, (n_docs, n_labels).

    exclusive (bool): Whether a doc has one class.
    """

    exclusive: bool

    def gold_classes(self, examples: Iterable[Example]) -> Sequence[str | None]:
        """Get the gold class of each doc; None if it does not have exactly one."""


@runtime_checkable
class DecodesJointly(Protocol):
    """A head whose annotation can be decoded together with the doc's class.

    consistent_with (str | None): Name of a `DocClasses` head with exclusive classes; None to decode alone.
    """

    consistent_with: str | None

    def update_constraints(self, examples: Iterable[Example], classes: Iterable[str | None]) -> None:
        """Learn from gold which annotation occurs with which class. The same docs may be passed many times.

        classes (Iterable[str | None]): The class of each example, None if it is not known.
        """

    def gold_costs(
        self, examples: Iterable[Example], gold: Iterable[str | None], classes: Sequence[str]
    ) -> list[float]:
        """Compute what the gold annotation of each doc costs given its class, in nats, at least 0. Docs without a class
        or without annotation are left out.

        gold (Iterable[str | None]): The class of each example.
        classes (Sequence[str]): The names of all classes.
        """

    def novelty(self) -> float:
        """Compute the share of the gold passed so far that would cost something if it alone had not been passed."""

    def decode_jointly(self, scores: ScoresT, classes: Sequence[str], logits: Floats2d) -> tuple[ScoresT, Floats2d]:
        """Find the combination of annotation and class with the best score after subtracting its cost.

        classes (Sequence[str]): The names of the columns of `logits`.
        logits (Floats2d): Scores of the classes, (n_docs, n_classes).
        RETURNS: scores from which `decode` gives that annotation, and logits of which that class is the highest.
        """
