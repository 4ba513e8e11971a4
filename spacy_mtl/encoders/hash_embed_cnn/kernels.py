"""The few array operations that the fast encoder is made of, in whichever library is fastest where the arrays lie."""

from typing import Any, Protocol

import numpy as np
from thinc.api import Ops
from thinc.compat import has_torch

from ...protocols.arrays import ArrayT

# row numbers in the kernels' own library
IndexT = Any
# an array of the model's ops
ModelArrayT = Any
# what a kernel keeps for its backprop
SavedT = Any

# for fewer tokens, numpy's quicker calls outweigh torch's faster arithmetic
FEW_TOKENS = 32


class Kernels(Protocol):
    """Array operations of one library.

    xp: The library's module: `add`, `subtract` and `matmul`, each with `out=`.
    """

    xp: Any

    def share(self, array: ModelArrayT) -> ArrayT:
        """The kernels' view of a model's array, on the same memory."""

    def unshare(self, array: ArrayT) -> ModelArrayT:
        """The model's view of a kernels' array, on the same memory."""

    def index(self, rows: Any) -> IndexT:
        """Row numbers from a numpy array of integers."""

    def empty(self, *shape: int) -> ArrayT:
        """An array to be filled."""

    def zeros(self, *shape: int) -> ArrayT:
        """An array of zeros."""

    def take(self, X: ArrayT, rows: IndexT) -> ArrayT:
        """Rows of a table, X (n_rows, width) -> (*rows.shape, width)."""

    def take_sum(self, X: ArrayT, rows: IndexT) -> ArrayT:
        """Sums of rows of a table, rows (n, k) -> (n, width)."""

    def scatter_add(self, out: ArrayT, X: ArrayT, rows: IndexT) -> ArrayT:
        """The backprop of `take_sum`: add X (n, width) to rows (n, k) of out. RETURNS: out."""

    def affine(self, X: ArrayT, W: ArrayT, b: ArrayT, *, out: ArrayT) -> ArrayT:
        """Set out to X @ W + b, for X (n, n_in), W (n_in, n_out), b (n_out,). RETURNS: out."""

    def add_product(self, out: ArrayT, X: ArrayT, W: ArrayT) -> None:
        """Add X @ W to out."""

    def maxout(self, Y: ArrayT) -> ArrayT:
        """The greatest of the pieces, (n, pieces, width) -> (n, width)."""

    def winners(self, Y: ArrayT, best: ArrayT) -> ArrayT:
        """1 for the piece that is the greatest, the first of equals, else 0, (n, pieces, width). Overwrites Y."""

    def layer_norm(self, X: ArrayT, gain: ArrayT, shift: ArrayT) -> tuple[ArrayT, SavedT]:
        """Rows with mean 0 and variance 1, scaled and shifted, (n, width). May overwrite X."""

    def backprop_layer_norm(self, dY: ArrayT, saved: SavedT, gain: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT]:
        """Gradients of X, gain and shift."""

    def dropout_mask(self, shape: tuple[int, ...], rate: float) -> ArrayT:
        """0 with probability `rate`, else 1 / (1 - rate)."""


def kernels_for(ops: Ops, n_tokens: int, *, seed: int | None = None) -> Kernels:
    """Torch for arrays in main memory if it can be imported; otherwise numpy, or cupy on a GPU.

    seed (int | None): Of the dropout masks, so that they do not depend on which thread comes first; None in prediction.
    """
    if n_tokens >= FEW_TOKENS and ops.xp is np and has_torch:
        from .torch_kernels import TorchKernels

        return TorchKernels(seed)
    from .array_kernels import ArrayKernels

    return ArrayKernels(ops, seed)
