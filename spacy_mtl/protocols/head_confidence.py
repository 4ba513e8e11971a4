"""Heads that say how sure they are of what they predict: to label docs for training, or to apply a threshold."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from spacy.tokens import Doc

from .arrays import ArrayT, ScoresT
from .head import Head


@runtime_checkable
class Confident(Protocol):
    """A head that says how sure it is of its annotation."""

    def confidence(self, docs: Sequence[Doc], scores: ScoresT) -> ArrayT:
        """Compute the probability of each doc's decoded annotation, (n_docs,), in numpy: of the whole annotation if the
        head decides jointly, or of the least certain decision if it takes several independent ones.
        """


@runtime_checkable
class SelfLabelling(Confident, Protocol):
    """A head whose predictions can become gold. Heads without it get no labels from co-training."""

    @property
    def learns_from(self) -> frozenset[str]:
        """What `copy_annotation` writes, such as "doc.ents". If two heads shared it, one would learn the other's
        labels.
        """

    def same_annotation(self, one: Doc, other: Doc) -> bool:
        """Check whether the head predicted the same for two docs with the same tokens. Their vocabs may differ."""

    def copy_annotation(self, source: Doc, target: Doc) -> None:
        """Copy what the head predicted for `source` to `target` as gold, and nothing else.

        target (Doc): Has the same tokens and vocab, and no annotation of this head.
        """


@runtime_checkable
class Thresholded(Protocol):
    """A head that predicts whatever reaches a threshold. `nlp.evaluate(examples, scorer_cfg={"threshold": 0.3})` scores
    it with another threshold.

    threshold (float): Minimum probability of a prediction.
    """

    threshold: float

    def with_threshold(self, threshold: float) -> "Head":
        """Copy the head with another threshold. This head keeps its own."""
