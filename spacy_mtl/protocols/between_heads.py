"""Heads that see other heads' scores, work on their annotation, or revise it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from spacy.tokens import Doc
from spacy.training import Example
from thinc.types import Ints1d

from .arrays import AnnotationsT, ConditionT, PreparedT, ScoresT
from .head import Head


@runtime_checkable
class TakesConditions(Protocol):
    """A head that sees other heads' scores.

    condition_on (tuple[str, ...]): The names of these heads (`GivesCondition`).
    """

    condition_on: tuple[str, ...]


@runtime_checkable
class GivesCondition(Protocol):
    """A head whose scores other heads can see."""

    def condition(self, scores: ScoresT, lengths: Ints1d) -> tuple[ConditionT, Callable[[ConditionT], ScoresT]]:
        """Turn the scores into a distribution at each token, for other heads. RETURNS: the distribution, and its
        backprop to the scores, which is called once for each loss that reaches it.
        """


@runtime_checkable
class Prepares(Protocol):
    """A head that works on other heads' annotation, such as pairs of their entities, or on its own target, such as a
    sequence to decode.

    depends_on (tuple[str, ...]): The heads whose annotation it reads; empty if it only needs its own target.
    """

    depends_on: tuple[str, ...]

    def prepare(
        self, docs: Sequence[Doc], examples: Sequence[Example] | None, found: Mapping[str, AnnotationsT]
    ) -> PreparedT:
        """Build what the network gets as `HeadInput.prepared`. No gradient flows through it.

        docs (Sequence[Doc]): The batch.
        examples (Sequence[Example] | None): In training the batch with the gold that this head may learn from; None in
            prediction.
        found (Mapping[str, AnnotationsT]): The decoded annotation of each head in `depends_on`. A head is decoded when
            its entry is read, so a head that trains on gold alone pays nothing for it.
        """


@runtime_checkable
class ConnectsToHeads(Protocol):
    """A head that asks other heads what their annotation means."""

    def connect(self, heads: Mapping[str, Head]) -> None:
        """Remember the heads in `depends_on`. Raise a ValueError if one of them can't give what is needed. Called when
        the component is made.

        heads (Mapping[str, Head]): All heads by name.
        """


@runtime_checkable
class ScoredFromGold(Protocol):
    """A head that works on other heads' annotation, and is also scored on what it makes of their gold."""

    def prepare_from_gold(self, docs: Sequence[Doc], examples: Sequence[Example]) -> PreparedT:
        """Build what `Prepares.prepare` would, with the gold in the place of the other heads' annotation. Nothing is
        learned from the gold.
        """

    def note_from_gold(self, docs: Sequence[Doc], annotations: AnnotationsT) -> None:
        """Keep the annotation that was decoded from it until the docs are scored, apart from what was predicted."""


@runtime_checkable
class RevisesAnnotation(Protocol):
    """A head that decides about the annotation of another head together with its own.

    revises (str | None): The name of the other head, one of `depends_on`; None to leave it as it is.
    """

    revises: str | None

    def revise(self, scores: ScoresT, annotations: AnnotationsT) -> AnnotationsT:
        """Change what the other head has decoded to what this head's own annotation goes with.

        scores (ScoresT): This head's scores.
        annotations (AnnotationsT): What the other head has decoded.
        """
