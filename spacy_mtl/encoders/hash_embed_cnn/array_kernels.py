"""The array operations of the encoder in numpy, or in cupy on a GPU."""

# The methods are documented in `Kernels`.

from typing import Any

from thinc.api import NumpyOps, Ops

from ...layers.dropout import draw_mask, make_generator
from ...protocols.arrays import ArrayT
from .kernels import IndexT

EPSILON = 1e-8


class ArrayKernels:
    """Kernels on arrays of numpy or cupy.

    ops (Ops): The model's ops, which determine the library.
    seed (int | None): Seed of the dropout masks on a CPU; None in prediction.
    """

    def __init__(self, ops: Ops, seed: int | None = None) -> None:
        self.ops = ops
        self.generator = make_generator(seed) if seed is not None and isinstance(ops, NumpyOps) else None
        self.xp: Any = ops.xp

    def share(self, array: ArrayT) -> ArrayT:
        return array

    def unshare(self, array: ArrayT) -> ArrayT:
        return array

    def index(self, rows: Any) -> IndexT:
        return self.xp.asarray(rows.astype("int32", copy=False))

    def empty(self, *shape: int) -> ArrayT:
        return self.xp.empty(shape, dtype="float32")

    def zeros(self, *shape: int) -> ArrayT:
        return self.xp.zeros(shape, dtype="float32")

    def take(self, X: ArrayT, rows: IndexT) -> ArrayT:
        return X.take(rows, axis=0)

    def take_sum(self, X: ArrayT, rows: IndexT) -> ArrayT:
        total = X.take(rows[:, 0], axis=0)
        for column in range(1, rows.shape[1]):
            total += X.take(rows[:, column], axis=0)
        return total

    def scatter_add(self, out: ArrayT, X: ArrayT, rows: IndexT) -> ArrayT:
        X = self.xp.ascontiguousarray(X)
        for column in self.xp.ascontiguousarray(rows.T):
            self.ops.scatter_add(out, column, X)
        return out

    def affine(self, X: ArrayT, W: ArrayT, b: ArrayT, *, out: ArrayT) -> ArrayT:
        self.xp.matmul(X, W, out=out)
        out += b
        return out

    def add_product(self, out: ArrayT, X: ArrayT, W: ArrayT) -> None:
        out += X @ W

    def maxout(self, Y: ArrayT) -> ArrayT:
        best = Y[:, 0].copy()
        for piece in range(1, Y.shape[1]):
            self.xp.maximum(best, Y[:, piece], out=best)
        return best

    def winners(self, Y: ArrayT, best: ArrayT) -> ArrayT:
        left = self.xp.ones_like(best)
        for piece in range(Y.shape[1] - 1):
            Y[:, piece] = (Y[:, piece] == best) * left
            left -= Y[:, piece]
        Y[:, -1] = left
        return Y

    def layer_norm(self, X: ArrayT, gain: ArrayT, shift: ArrayT) -> tuple[ArrayT, Any]:
        X -= X.sum(axis=1, keepdims=True) / X.shape[1]
        scale = self.xp.einsum("ij,ij->i", X, X)[:, None]
        scale /= X.shape[1]
        scale += EPSILON
        scale **= -0.5
        X *= scale
        Y = X * gain
        Y += shift
        return Y, (X, scale)

    def backprop_layer_norm(self, dY: ArrayT, saved: Any, gain: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT]:
        X, scale = saved
        d_gain, d_shift = (dY * X).sum(axis=0), dY.sum(axis=0)
        dX = dY * gain
        along = self.xp.einsum("ij,ij->i", dX, X)[:, None] / X.shape[1]
        dX -= dX.mean(axis=1, keepdims=True)
        dX -= X * along
        dX *= scale
        return dX, d_gain, d_shift

    def dropout_mask(self, shape: tuple[int, ...], rate: float) -> ArrayT:
        if self.generator is None:
            return self.ops.get_dropout_mask(shape, rate)
        return draw_mask(self.generator, shape, rate)
