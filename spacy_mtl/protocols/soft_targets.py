"""What a teacher says of a doc, as probabilities of labels by name, and the Protocols of heads that give or use it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from .arrays import FloatsT, ScoresT

KindT = Literal["exclusive", "independent", "tokens", "chain"]


def _no_steps() -> NDArray[np.int64]:
    return np.zeros((0, 2), dtype="int64")


def _no_counts() -> NDArray[np.float32]:
    return np.zeros(0, dtype="float32")


@dataclass(frozen=True)
class SoftTarget:
    """A teacher's distribution for one head and one doc. Each row keeps the likeliest labels.

    kind (str): "exclusive" or "independent" for classes of the doc (one row of logits); "tokens" for a label of each
        token (a row of probabilities for each); "chain" for the tags of a sequence, which also has `steps`.
    labels (tuple[str, ...]): What the columns stand for: classes as keys of `doc.cats`, values, or tags as "B-city".
    temperature (float): The temperature of the distribution. Logits of classes are not divided by it yet.
    columns (Ints2d): Indices into `labels`, (n_rows, n_kept).
    values (Floats2d): Logits, or probabilities, (n_rows, n_kept). A row of zeros is a token without a target.
    steps (Ints2d): Pairs of neighbouring tags, as indices into `labels`, (n_steps, 2).
    counts (Floats1d): How often the teacher expects each of these pairs in the doc, (n_steps,).

    The labels ("O", "B-city") and the values [[1.0, 0.0], [0.2, 0.8]] over the columns [[0, 1], [0, 1]] belong to a doc
    of two tokens, the second one probably a city; steps [[0, 0], [0, 1]] have the counts [0.2, 0.8].
    """

    kind: KindT
    labels: tuple[str, ...]
    temperature: float
    columns: NDArray[np.int64]
    values: NDArray[np.float32]
    steps: NDArray[np.int64] = field(default_factory=_no_steps)
    counts: NDArray[np.float32] = field(default_factory=_no_counts)


TargetsT = Sequence[SoftTarget | None]


@runtime_checkable
class GivesTargets(Protocol):
    """A head that can teach another one with its probabilities."""

    def soft_targets(
        self, docs: Sequence[Doc], scores: ScoresT, *, temperature: float, top: int
    ) -> Sequence[SoftTarget]:
        """Get the distribution for each doc.

        temperature (float): Divides the scores before they become probabilities.
        top (int): Number of labels to keep for each token, at least 1. Classes of docs are kept all.
        """


@runtime_checkable
class LearnsFromTargets(Protocol):
    """A head that can learn from a teacher's probabilities. Labels are matched by name.

    target_kind (str): The kind of target that it can use.
    target_columns (tuple[str, ...]): The names of its network's outputs, see `SoftTarget.labels`.
    """

    @property
    def target_kind(self) -> KindT:
        """The kind of target that it can use."""

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The names of the network's outputs."""

    def labels_of_columns(self, columns: Sequence[str]) -> list[str]:
        """Get the labels of the head that outputs of these names belong to, in alphabetical order."""

    def get_target_loss(
        self, docs: Sequence[Doc], targets: TargetsT, scores: ScoresT, weights: FloatsT
    ) -> tuple[float, ScoresT | None]:
        """Compute the cross-entropy in nats against the teacher's distribution at its temperature T, times T², and its
        gradient (Hinton et al. 2015): the sum over the docs with a target, divided by all units of the batch. Labels
        that the teacher lacks take no part.

        weights (FloatsT): Factor of each doc's loss, (n_docs,).
        RETURNS: (0.0, None) if no doc has a target and a weight.
        RAISES ValueError: The teacher has a label that the head lacks; the message lists both.
        """
