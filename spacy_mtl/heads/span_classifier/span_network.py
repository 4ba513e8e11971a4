"""The network of the span classifier: suggested spans are pooled and projected to one logit for each label."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from thinc.api import Model
from thinc.types import Ragged
from thinc.util import to_numpy

from ...gold import look_up
from ...layers.dropout import dropout
from ...layers.linear import linear
from ...layers.ragged_rows import bounds
from ...protocols.arrays import ArrayT, IntsT
from ...protocols.head import HeadInput, HeadModelT
from .span_pooling import SpanPoolingKindT, span_pooling


@dataclass
class Candidates:
    """Suggested spans of a batch, in the order of docs and places. All arrays (n_spans,).

    docs (Ints1d): Index of the doc.
    starts (Ints1d): Index of the first token in the doc.
    ends (Ints1d): Index of the token after the last one.
    """

    docs: IntsT
    starts: IntsT
    ends: IntsT

    @classmethod
    def of(cls, places: Sequence[IntsT]) -> "Candidates":
        """Make them from arrays (n, 3) of doc, start and end. Each span is taken once, and empty ones are left out."""
        rows = np.concatenate([np.zeros((0, 3), dtype="int64"), *places])
        rows = rows[rows[:, 1] < rows[:, 2]]
        _, first = np.unique(_codes(rows, int(rows.max(initial=0)) + 1), return_index=True)
        return cls(*rows[first].T)

    def rows_of(self, places: IntsT) -> IntsT:
        """The index of each of some spans (n, 3), -1 if it is not suggested."""
        base = int(max(self.ends.max(initial=0), self.docs.max(initial=0), places.max(initial=0))) + 1
        known = _codes(np.column_stack([self.docs, self.starts, self.ends]), base)
        return look_up(_codes(places, base).astype("uint64"), known.tolist())


@dataclass
class SpanScores:
    """Scores of the labels of suggested spans, or their gradient.

    logits (Floats2d): (n_spans, n_labels).
    spans (Candidates): The spans.
    n_tokens (int): Number of tokens of the batch.
    """

    logits: ArrayT
    spans: Candidates
    n_tokens: int

    def __mul__(self, factor: float) -> "SpanScores":
        return replace(self, logits=self.logits * factor)

    def __add__(self, other: "SpanScores") -> "SpanScores":
        return replace(self, logits=self.logits + other.logits)


def _codes(places: IntsT, base: int) -> IntsT:
    """One number for each span (n, 3), in their order. All indices are below `base`."""
    return (places[:, 0] * base + places[:, 1]) * base + places[:, 2]


def span_network(kinds: Sequence[SpanPoolingKindT], hidden_width: int) -> HeadModelT:
    """Build the network: HeadInput, with `Candidates` in `prepared` -> SpanScores. The pooled vectors of a span go
    through one hidden layer.

    kinds (Sequence[str]): How to pool the vectors of a span's tokens.
    hidden_width (int): Width of the hidden layer.
    """
    layers: dict[str, Model[Any, Any]] = {
        "dropout": dropout(),
        "pooling": span_pooling(kinds),
        "hidden": linear(hidden_width),
        "output": linear(),
    }
    attrs: dict[str, Any] = {"labels": []}
    return Model("span_network", forward, init=init, layers=list(layers.values()), refs={**layers}, attrs=attrs)


def forward(model: HeadModelT, X: HeadInput, is_train: bool) -> tuple[SpanScores, Any]:
    """RETURNS: SpanScores, and backprop to the input. Without `prepared` no span is suggested."""
    spans: Candidates = X.prepared or Candidates.of(())
    starts = bounds(to_numpy(X.tokvecs.lengths))[spans.docs]
    dropped, bp_dropped = model.get_ref("dropout")(X.tokvecs.dataXd, is_train)
    pooled, bp_pooled = model.get_ref("pooling")((dropped, starts + spans.starts, starts + spans.ends), is_train)
    hidden, bp_hidden = model.get_ref("hidden")(pooled, is_train)
    active = hidden > 0
    logits, bp_logits = model.get_ref("output")(hidden * active, is_train)

    def backprop(d_scores: SpanScores) -> HeadInput:
        d_dropped = bp_pooled(bp_hidden(bp_logits(d_scores.logits) * active))
        return HeadInput([], Ragged(bp_dropped(d_dropped), X.tokvecs.lengths), [])

    return SpanScores(logits, spans, len(X.tokvecs.dataXd)), backprop


def init(model: HeadModelT, X: HeadInput | None = None, Y: Any = None) -> None:
    """Set the sizes from the sample and the labels."""
    assert X is not None
    pooling, hidden, output = (model.get_ref(name) for name in ("pooling", "hidden", "output"))
    hidden.set_dim("nI", X.tokvecs.dataXd.shape[-1] * len(pooling.attrs["kinds"]), force=True)
    hidden.initialize()
    output.set_dim("nO", len(model.attrs["labels"]), force=True)
    output.set_dim("nI", hidden.get_dim("nO"), force=True)
    output.initialize()
