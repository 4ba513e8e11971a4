"""What can be taught by: a Protocol that heads of a multitask component and spaCy's own pipes are wrapped in."""

from collections.abc import Sequence
from typing import Protocol

from spacy.tokens import Doc

from ..readers.target_shard import Answers, TargetForm


class Source(Protocol):
    """A pipe of a teacher that teaches some of the student's heads.

    name (str): The pipe's name in its pipeline.
    forms (dict[str, TargetForm | None]): Form of its soft targets by the student's head; None if it gives none.
    """

    name: str
    forms: dict[str, TargetForm | None]

    def labels(self, head: str) -> list[str]:
        """The labels that it may predict, as they stand in the gold; empty if it can't tell."""

    def answer(self, docs: Sequence[Doc]) -> dict[str, Answers]:
        """Annotate docs that have passed the pipes before it.

        RETURNS: by the student's head, its annotation in the teacher's tokens, and how sure it is.
        """
