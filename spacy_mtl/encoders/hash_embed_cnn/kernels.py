"""The array operations that the fast encoder consists of, in the library that is fastest where the arrays lie."""

from typing import Any, Protocol

import numpy as np
from thinc.api import Ops
from thinc.compat import has_torch

from ...protocols.arrays import ArrayT

# row indices in the kernels' own library
IndexT = Any
# an array of the model, in numpy or cupy
ModelArrayT = Any
# what a kernel keeps for its backprop
SavedT = Any

# With fewer tokens, numpy's cheaper calls outweigh torch's faster arithmetic.
FEW_TOKENS = 32


class Kernels(Protocol):
    """Array operations of one library.

    xp (Any): The module of the library, with `add`, `subtract` and `matmul`, each with `out=`.
    """

    xp: Any

    def share(self, array: ModelArrayT) -> ArrayT:
        """View an array of the model as one of the kernels, on the same memory."""

    def unshare(self, array: ArrayT) -> ModelArrayT:
        """View an array of the kernels as one of the model, on the same memory."""

    def index(self, rows: Any) -> IndexT:
        """Convert a numpy array of integers to row indices."""

    def empty(self, *shape: int) -> ArrayT:
        """Allocate an array without filling it."""

    def zeros(self, *shape: int) -> ArrayT:
        """Allocate an array of zeros."""

    def take(self, X: ArrayT, rows: IndexT) -> ArrayT:
        """Select rows of a table, X (n_rows, width) -> (*rows.shape, width)."""

    def take_sum(self, X: ArrayT, rows: IndexT) -> ArrayT:
        """Sum k rows of a table for each of n results, rows (n, k) -> (n, width)."""

    def scatter_add(self, out: ArrayT, X: ArrayT, rows: IndexT) -> ArrayT:
        """Add X[i] to the rows rows[i] of `out`, for X (n, width), rows (n, k): the backprop of `take_sum`.

        RETURNS: `out`.
        """

    def affine(self, X: ArrayT, W: ArrayT, b: ArrayT, *, out: ArrayT) -> ArrayT:
        """Set `out` to X @ W + b, for X (n, n_in), W (n_in, n_out), b (n_out,). RETURNS: `out`."""

    def add_product(self, out: ArrayT, X: ArrayT, W: ArrayT) -> None:
        """Add X @ W to `out`."""

    def maxout(self, Y: ArrayT) -> ArrayT:
        """Take the maximum over the pieces, (n, pieces, width) -> (n, width)."""

    def winners(self, Y: ArrayT, best: ArrayT) -> ArrayT:
        """Mark the piece that is the maximum, the first one among equals, with 1 and the others with 0.

        Y (Floats3d): The pieces, which are overwritten, (n, pieces, width).
        best (Floats2d): Their maxima, (n, width).
        """

    def layer_norm(self, X: ArrayT, gain: ArrayT, shift: ArrayT) -> tuple[ArrayT, SavedT]:
        """Normalise rows to mean 0 and variance 1, then scale and shift them, (n, width). May overwrite X.

        RETURNS: The result, and what `backprop_layer_norm` needs.
        """

    def backprop_layer_norm(self, dY: ArrayT, saved: SavedT, gain: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT]:
        """Return the gradients of X, gain and shift."""

    def dropout_mask(self, shape: tuple[int, ...], rate: float) -> ArrayT:
        """Draw a mask that is 0 with probability `rate` and 1 / (1 - rate) otherwise."""


def kernels_for(ops: Ops, n_tokens: int, *, seed: int | None = None) -> Kernels:
    """Choose the kernels: torch for arrays in main memory if it can be imported, otherwise numpy, or cupy on a GPU.

    ops (Ops): The model's ops.
    n_tokens (int): Number of tokens in the batch.
    seed (int | None): Seed of the dropout masks, so that they do not depend on the order of threads; None in
        prediction.
    """
    if n_tokens >= FEW_TOKENS and ops.xp is np and has_torch:
        from .torch_kernels import TorchKernels

        return TorchKernels(seed)
    from .array_kernels import ArrayKernels

    return ArrayKernels(ops, seed)
