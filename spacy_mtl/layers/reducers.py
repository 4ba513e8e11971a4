"""Mean and maximum of each doc's token vectors, as `pooling.py` uses them.

On a GPU, thinc's kernels have one thread for each doc. These have one for each number of the result.
"""

from functools import cache
from typing import Any

from thinc.api import CupyOps, Model
from thinc.compat import cupy
from thinc.layers.reduce_max import forward as thinc_max
from thinc.layers.reduce_mean import forward as thinc_mean
from thinc.types import Floats2d, Ragged

from ..protocols.arrays import ArrayT

ReducerT = Model[Ragged, Floats2d]
# The number i of the result: its column, its doc, the doc's first row and the row after its last one.
ROWS = "int column = i % width, doc = i / width, start = doc ? ends[doc - 1] : 0, stop = ends[doc];"
BODIES = {
    "mean": (
        "raw T X, raw int32 ends, int64 width",
        "T Y",
        "Y = 0; for (int row = start; row < stop; ++row) Y += X[row * width + column];"
        " if (stop > start) Y /= stop - start;",
    ),
    "backprop_mean": (
        "T dY, raw int32 ends, int64 width",
        "raw T dX",
        "for (int row = start; row < stop; ++row) dX[row * width + column] = dY / (stop - start);",
    ),
    "max": (
        "raw T X, raw int32 ends, int64 width",
        "T Y, int32 which",
        "Y = 0; which = -1; for (int row = start; row < stop; ++row) { T value = X[row * width + column];"
        " if (which < 0 || value > Y) { Y = value; which = row; } }",
    ),
    "backprop_max": (
        "T dY, int32 which, raw int32 ends, int64 width",
        "raw T dX",
        "for (int row = start; row < stop; ++row) dX[row * width + column] = row == which ? dY : T(0);",
    ),
}


def reduce_mean() -> ReducerT:
    """Build the layer of the mean, Ragged (n_tokens, width) -> (n_docs, width)."""
    return Model("reduce_mean", forward_mean)


def reduce_max() -> ReducerT:
    """Build the layer of the maximum, Ragged (n_tokens, width) -> (n_docs, width)."""
    return Model("reduce_max", forward_max)


def forward_mean(model: ReducerT, X: Ragged, is_train: bool) -> tuple[Floats2d, Any]:
    """RETURNS: The means (n_docs, width) and backprop: dY -> Ragged (n_tokens, width)."""
    if not isinstance(model.ops, CupyOps):
        return thinc_mean(model, X, is_train)
    data, ends = _read(X)
    Y = _kernel("mean")(data, ends, data.shape[1], _empty(ends, data))

    def backprop(dY: Floats2d) -> Ragged:
        return Ragged(_kernel("backprop_mean")(dY, ends, data.shape[1], cupy.empty_like(data)), X.lengths)

    return Y, backprop


def forward_max(model: ReducerT, X: Ragged, is_train: bool) -> tuple[Floats2d, Any]:
    """RETURNS: The maxima (n_docs, width) and backprop: dY -> Ragged (n_tokens, width). Among equal numbers, the first
    one gets the gradient.
    """
    if not isinstance(model.ops, CupyOps):
        return thinc_max(model, X, is_train)
    data, ends = _read(X)
    Y, which = _kernel("max")(data, ends, data.shape[1], _empty(ends, data), _empty(ends, data, dtype="int32"))

    def backprop(dY: Floats2d) -> Ragged:
        return Ragged(_kernel("backprop_max")(dY, which, ends, data.shape[1], cupy.empty_like(data)), X.lengths)

    return Y, backprop


def _read(X: Ragged) -> tuple[ArrayT, ArrayT]:
    """RETURNS: The vectors (n_tokens, width), and the row after each doc's last one (n_docs,)."""
    return cupy.ascontiguousarray(X.dataXd), cupy.cumsum(X.lengths, dtype="int32")


def _empty(ends: ArrayT, data: ArrayT, *, dtype: Any = None) -> ArrayT:
    return cupy.empty((len(ends), data.shape[1]), dtype=dtype or data.dtype)


@cache
def _kernel(name: str) -> Any:
    inputs, outputs, body = BODIES[name]
    return cupy.ElementwiseKernel(inputs, outputs, ROWS + body, f"spacy_mtl_{name}")
