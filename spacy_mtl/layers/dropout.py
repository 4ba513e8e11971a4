"""Dropout whose masks cost little on a CPU: sixteen random bits a number, instead of a double from a uniform law."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from thinc.api import Model, NumpyOps
from thinc.types import Floats2d

from ..protocols.arrays import ArrayT

DropoutT = Model[Floats2d, Floats2d]
# values of sixteen bits
N_VALUES = 2**16


def dropout() -> DropoutT:
    """Build the layer. Like thinc's it has `attrs["dropout_rate"]`, which `set_dropout_rate` finds; (n, width) -> the
    same shape. In training each number is 0 with that probability, and the others are scaled up.
    """
    return Model("dropout", forward, attrs={"dropout_rate": 0.0, "is_enabled": True})


def forward(model: DropoutT, X: Floats2d, is_train: bool) -> tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
    """RETURNS: Y and backprop: dY -> dX, of the same shape."""
    rate = model.attrs["dropout_rate"]
    if not is_train or not rate or not model.attrs["is_enabled"]:
        return X, lambda dY: dY
    if isinstance(model.ops, NumpyOps):
        mask: ArrayT = draw_mask(make_generator(draw_seed()), X.shape, rate)
    else:
        mask = model.ops.get_dropout_mask(X.shape, rate)
    return X * mask, lambda dY: dY * mask


def draw_seed() -> int:
    """A seed from numpy's global generator, which `fix_random_seed` sets."""
    return int(np.random.randint(2**31))


def make_generator(seed: int) -> np.random.SFC64:
    """The random bits."""
    return np.random.SFC64(seed)


def draw_mask(generator: np.random.SFC64, shape: tuple[int, ...], rate: float) -> NDArray[np.float32]:
    """Zeros, and what the others are multiplied with so that the expected value stays as it was.

    rate (float): The probability of a zero, which is rounded to 1 / 65,536.
    """
    size = int(np.prod(shape))
    kept = round((1.0 - rate) * N_VALUES)
    if not kept:
        return np.zeros(shape, dtype="float32")
    bits = generator.random_raw((size + 3) // 4).view(np.uint16)[:size]
    mask = np.multiply(bits < kept, np.float32(N_VALUES / kept), dtype="float32")
    return mask.reshape(shape)
