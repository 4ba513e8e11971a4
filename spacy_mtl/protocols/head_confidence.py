"""Heads that say how sure they are of what they predict: to label docs for training, or to apply a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from spacy.tokens import Doc

from .arrays import AnnotationsT, ArrayT, FloatsT, IntsT, ScoresT
from .head import Head


@runtime_checkable
class Confident(Protocol):
    """A head that says how sure it is of its annotation."""

    def confidence(self, docs: Sequence[Doc], scores: ScoresT) -> ArrayT:
        """Compute the probability of each doc's decoded annotation, (n_docs,), in numpy: of the whole annotation if the
        head decides jointly, or of the least certain decision if it takes several independent ones.
        """


@dataclass(frozen=True)
class RatedSpans:
    """Spans of a batch with their probabilities. All arrays (n_spans,).

    docs (IntsT): Index of the doc. starts, ends (IntsT): First token in the doc, and the one after the last.
    probabilities (FloatsT): From 0 to 1.
    """

    docs: IntsT
    starts: IntsT
    ends: IntsT
    probabilities: FloatsT


@runtime_checkable
class RatesSpans(Protocol):
    """A head that can say how probable each of the entities is that it writes to `doc.ents`. Those that write span
    groups keep probabilities there.
    """

    def rated_spans(self, annotations: AnnotationsT) -> RatedSpans | None:
        """Compute the probabilities of decoded spans; None if the head writes a span group."""


@runtime_checkable
class RatesTokens(Protocol):
    """A head that can say how probable what it writes for each token is."""

    def token_probabilities(self, docs: Sequence[Doc], scores: ScoresT, annotations: AnnotationsT) -> FloatsT:
        """Compute the probability of each token's annotation, (n_tokens,); NaN where there is none."""


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
