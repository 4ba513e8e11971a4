"""One vector for each span, from the vectors of its tokens. Spans may overlap."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from thinc.api import Model
from thinc.types import Floats2d
from thinc.util import get_array_module

from ...protocols.arrays import ArrayT, IntsT

SpanPoolingKindT = Literal["mean", "max", "first", "last"]
# token vectors end to end (n_tokens, width), and of each span its first row and the row after its last one, (n_spans,)
SpanInputT = tuple[ArrayT, IntsT, IntsT]
PooledT = tuple[ArrayT, Callable[[ArrayT], ArrayT]]


def span_pooling(kinds: Sequence[SpanPoolingKindT]) -> Model[SpanInputT, Floats2d]:
    """Build the layer: SpanInputT -> (n_spans, width * len(kinds)). Spans of one length are pooled together, token by
    token, so that there is no loop over spans.

    kinds (Sequence[str]): "mean" and "max" of the tokens' vectors, "first" and "last" token's.
    """
    return Model("span_pooling", forward, attrs={"kinds": list(kinds)})


def forward(
    model: Model[SpanInputT, Floats2d], X: SpanInputT, is_train: bool
) -> tuple[Floats2d, Callable[[Floats2d], ArrayT]]:
    """RETURNS: The vectors of the spans, and backprop: their gradient -> the gradient of the token vectors."""
    tokvecs, starts, ends = X
    pooled = [POOLINGS[kind](model, tokvecs, starts, ends) for kind in model.attrs["kinds"]]
    xp, width = get_array_module(tokvecs), tokvecs.shape[1]

    def backprop(dY: Floats2d) -> ArrayT:
        d_tokvecs = xp.zeros_like(tokvecs)
        for index, (_, bp_pooled) in enumerate(pooled):
            d_tokvecs += bp_pooled(dY[:, index * width : (index + 1) * width])
        return d_tokvecs

    return xp.concatenate([vectors for vectors, _ in pooled], axis=1), backprop


def _edge(model: Model[SpanInputT, Floats2d], tokvecs: ArrayT, rows: IntsT) -> PooledT:
    """One row for each span."""
    xp = get_array_module(tokvecs)
    index = xp.asarray(rows)
    return tokvecs[index], lambda dY: _scatter(model, dY, index, len(tokvecs))


def _first(model: Model[SpanInputT, Floats2d], tokvecs: ArrayT, starts: IntsT, ends: IntsT) -> PooledT:
    return _edge(model, tokvecs, starts)


def _last(model: Model[SpanInputT, Floats2d], tokvecs: ArrayT, starts: IntsT, ends: IntsT) -> PooledT:
    return _edge(model, tokvecs, ends - 1)


def _mean(model: Model[SpanInputT, Floats2d], tokvecs: ArrayT, starts: IntsT, ends: IntsT) -> PooledT:
    xp = get_array_module(tokvecs)
    means = xp.zeros((len(starts), tokvecs.shape[1]), dtype=tokvecs.dtype)
    groups = _by_size(xp, starts, ends)
    for size, first, rows in groups:
        means[rows] = sum(tokvecs[first + offset] for offset in range(size)) / size

    def backprop(dY: ArrayT) -> ArrayT:
        d_tokvecs = xp.zeros_like(tokvecs)
        for size, first, rows in groups:
            d_each = dY[rows] / size
            for offset in range(size):
                d_tokvecs += _scatter(model, d_each, first + offset, len(tokvecs))
        return d_tokvecs

    return means, backprop


def _max(model: Model[SpanInputT, Floats2d], tokvecs: ArrayT, starts: IntsT, ends: IntsT) -> PooledT:
    xp = get_array_module(tokvecs)
    highest = xp.zeros((len(starts), tokvecs.shape[1]), dtype=tokvecs.dtype)
    groups = []
    for size, first, rows in _by_size(xp, starts, ends):
        best, where = tokvecs[first], xp.zeros((len(rows), tokvecs.shape[1]), dtype="int32")
        for offset in range(1, size):
            other = tokvecs[first + offset]
            where = xp.where(other > best, offset, where)
            best = xp.maximum(best, other)
        highest[rows] = best
        groups.append((size, first, rows, where))

    def backprop(dY: ArrayT) -> ArrayT:
        d_tokvecs = xp.zeros_like(tokvecs)
        for size, first, rows, where in groups:
            for offset in range(size):
                d_tokvecs += _scatter(model, xp.where(where == offset, dY[rows], 0.0), first + offset, len(tokvecs))
        return d_tokvecs

    return highest, backprop


def _by_size(xp: Any, starts: IntsT, ends: IntsT) -> list[tuple[int, ArrayT, ArrayT]]:
    """Group the spans by their length. RETURNS: each length, the first rows of its spans, and their indices."""
    sizes = ends - starts
    indices = {size: np.flatnonzero(sizes == size) for size in np.unique(sizes).tolist()}
    return [(size, xp.asarray(starts[same]), xp.asarray(same)) for size, same in indices.items()]


def _scatter(model: Model[SpanInputT, Floats2d], rows: ArrayT, index: ArrayT, size: int) -> ArrayT:
    """Sum rows into an array of `size` rows."""
    xp = get_array_module(rows)
    table = xp.zeros((size, rows.shape[1]), dtype="float32")
    model.ops.scatter_add(table, index.astype("int32"), xp.ascontiguousarray(rows, dtype="float32"))
    return table


POOLINGS = {"mean": _mean, "max": _max, "first": _first, "last": _last}
