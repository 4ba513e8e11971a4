"""Heads whose annotation is spans or sentences, for heads that work on them."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .arrays import AnnotationsT, ArrayT


@runtime_checkable
class FindsSpans(Protocol):
    """A head whose annotation is spans, for heads that work on them."""

    def found_spans(self, annotations: AnnotationsT) -> "FoundSpans":
        """Get the decoded spans as arrays."""


@dataclass
class FoundSpans:
    """Spans of a batch, in the order of the docs. All arrays (n_spans,).

    docs (Ints1d): Index of the doc.
    starts (Ints1d): Index of the first token in the doc.
    ends (Ints1d): Index of the token after the last one.
    labels (Ints1d): Index of the label in `names`.
    names (tuple[str, ...]): The labels.

    With entities "New York" (LOC) in doc 0 = ["in", "New", "York"] and "Anna" (PER) in doc 1 = ["Anna"]:
    docs [0, 1], starts [1, 0], ends [3, 1], labels [0, 1], names ("LOC", "PER").
    """

    docs: ArrayT
    starts: ArrayT
    ends: ArrayT
    labels: ArrayT
    names: tuple[str, ...]


@runtime_checkable
class RanksTypes(FindsSpans, Protocol):
    """A head that can say how likely other types are for the spans that it has found, and take them back."""

    def type_scores(self, annotations: AnnotationsT) -> NDArray[np.float64]:
        """Compute how much likelier each type is than the one that a span has, in nats, (n_spans, n_labels)."""

    def with_types(self, annotations: AnnotationsT, labels: NDArray[np.int64]) -> AnnotationsT:
        """Give the spans other types. labels: indices, (n_spans,)."""


@runtime_checkable
class FindsSentences(Protocol):
    """A head whose annotation may be sentences, for heads that work on them.

    finds_sentences (bool): Whether it is.
    """

    @property
    def finds_sentences(self) -> bool:
        """Whether the annotation is sentences."""

    def found_starts(self, annotations: AnnotationsT) -> ArrayT:
        """Get whether each token of the batch begins a sentence, (n_tokens,)."""
