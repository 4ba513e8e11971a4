"""The scores of a doc classifier: an array of logits, or `ClassScores` if the network scores more than the classes."""

from collections.abc import Callable
from dataclasses import dataclass

from thinc.types import Floats2d, Ints1d

from ...layers.softmax import sigmoid
from ...protocols.arrays import ArrayT, ScoresT
from .class_attention import pool_near
from .class_counts import shift_to_count


@dataclass
class ClassScores:
    """Scores of the classes of a batch, or their gradient. What the network does not score has no columns.

    logits (Floats2d): Of each doc, (n_docs, n_labels).
    counts (Floats2d): Logits of the number of classes of each doc, (n_docs, N_COUNTS).
    weights (Floats2d): Attention of each class to each token, above 0, not normalised, (n_tokens, n_labels).
    weighted (Floats2d): The logits of each token times `weights`, (n_tokens, n_labels).
    """

    logits: ArrayT
    counts: ArrayT
    weights: ArrayT
    weighted: ArrayT

    @property
    def parts(self) -> tuple[ArrayT, ArrayT, ArrayT, ArrayT]:
        """The arrays."""
        return self.logits, self.counts, self.weights, self.weighted

    def __mul__(self, factor: float) -> "ClassScores":
        return ClassScores(*(part * factor for part in self.parts))

    def __add__(self, other: "ClassScores") -> "ClassScores":
        return ClassScores(*(mine + theirs for mine, theirs in zip(self.parts, other.parts, strict=True)))


def logits_of(scores: ScoresT) -> ArrayT:
    """Get the logits of the docs, (n_docs, n_labels)."""
    return scores.logits if isinstance(scores, ClassScores) else scores


def decided_logits(scores: ScoresT) -> ArrayT:
    """Get the logits from which the classes are decided, (n_docs, n_labels)."""
    if isinstance(scores, ClassScores) and scores.counts.shape[1]:
        return shift_to_count(scores.logits, scores.counts)
    return logits_of(scores)


def gradient_of(d_logits: ArrayT, scores: ScoresT) -> ScoresT:
    """Build a gradient of the scores, in their form, from that of the logits of the docs."""
    if not isinstance(scores, ClassScores):
        return d_logits
    return ClassScores(d_logits, *(part * 0 for part in scores.parts[1:]))


def near_classes(scores: ClassScores, lengths: Ints1d) -> tuple[Floats2d, Callable[[Floats2d], ClassScores]]:
    """Compute the probabilities of the classes near each token, (n_tokens, n_labels), and their backprop."""
    near, bp_near = pool_near(scores.weights, scores.weighted, lengths)
    probabilities = sigmoid(near)

    def backprop(gradient: Floats2d) -> ClassScores:
        d_near = bp_near(gradient * probabilities * (1.0 - probabilities))
        return ClassScores(scores.logits * 0, scores.counts * 0, *d_near)

    return probabilities, backprop
