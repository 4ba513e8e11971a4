"""The array operations of the encoder in torch, on tensors that share the memory of numpy arrays."""

# The methods are documented in `Kernels`.

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from ...layers.dropout import draw_mask, make_generator

EPSILON = 1e-8


class TorchKernels:
    """Kernels of torch on the CPU, where a layer norm is one pass over the data in each direction.

    seed (int | None): Seed of the dropout masks; None in prediction.
    """

    xp: Any = torch

    def __init__(self, seed: int | None = None) -> None:
        self.generator = None if seed is None else make_generator(seed)

    def share(self, array: Any) -> Tensor:
        return torch.from_numpy(array)

    def unshare(self, array: Tensor) -> Any:
        return array.numpy()

    def index(self, rows: Any) -> Tensor:
        return torch.from_numpy(rows.astype("int64", copy=False))

    def empty(self, *shape: int) -> Tensor:
        return torch.empty(shape)

    def zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape)

    def take(self, X: Tensor, rows: Tensor) -> Tensor:
        return X.index_select(0, rows.reshape(-1)).view(*rows.shape, X.shape[1])

    def take_sum(self, X: Tensor, rows: Tensor) -> Tensor:
        return embedding_bag(rows, X, mode="sum")

    def scatter_add(self, out: Tensor, X: Tensor, rows: Tensor) -> Tensor:
        for column in rows.unbind(1):
            out.index_add_(0, column, X)
        return out

    def affine(self, X: Tensor, W: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
        return torch.addmm(b, X, W, out=out)

    def add_product(self, out: Tensor, X: Tensor, W: Tensor) -> None:
        out.addmm_(X, W)

    def maxout(self, Y: Tensor) -> Tensor:
        best = Y[:, 0].clone() if Y.shape[1] == 1 else torch.maximum(Y[:, 0], Y[:, 1])
        for piece in range(2, Y.shape[1]):
            torch.maximum(best, Y[:, piece], out=best)
        return best

    def winners(self, Y: Tensor, best: Tensor) -> Tensor:
        left = torch.ones_like(best)
        for piece in range(Y.shape[1] - 1):
            left -= Y[:, piece].eq_(best).mul_(left)
        Y[:, -1] = left
        return Y

    def layer_norm(self, X: Tensor, gain: Tensor, shift: Tensor) -> tuple[Tensor, Any]:
        Y, mean, scale = torch.native_layer_norm(X, X.shape[1:], gain, shift, EPSILON)
        return Y, (X, mean, scale, shift)

    def backprop_layer_norm(self, dY: Tensor, saved: Any, gain: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        X, mean, scale, shift = saved
        backprop = torch.ops.aten.native_layer_norm_backward
        return backprop(dY, X, X.shape[1:], mean, scale, gain, shift, (True, True, True))

    def dropout_mask(self, shape: tuple[int, ...], rate: float) -> Tensor:
        assert self.generator is not None
        return torch.from_numpy(draw_mask(self.generator, shape, rate))
