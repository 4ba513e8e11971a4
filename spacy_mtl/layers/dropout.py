"""Dropout with masks that are cheap on a CPU: each number takes sixteen random bits instead of a random double.

The heads use the layer, the kernels of `encoders/hash_embed_cnn` the masks.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from thinc.api import Model, NumpyOps
from thinc.types import Floats2d

from ..protocols.arrays import ArrayT

DropoutT = Model[Floats2d, Floats2d]
# number of values of sixteen bits
N_VALUES = 2**16


def dropout() -> DropoutT:
    """Build the layer, (n, width) -> (n, width). In training each number becomes 0 with the probability
    `attrs["dropout_rate"]`, and the others are scaled up. thinc's `set_dropout_rate` sets that attribute.
    """
    return Model("dropout", forward, attrs={"dropout_rate": 0.0, "is_enabled": True})


def forward(model: DropoutT, X: Floats2d, is_train: bool) -> tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
    """RETURNS: Y and backprop: dY -> dX, (n, width) each."""
    rate = model.attrs["dropout_rate"]
    if not is_train or not rate or not model.attrs["is_enabled"]:
        return X, lambda dY: dY
    if isinstance(model.ops, NumpyOps):
        mask: ArrayT = draw_mask(make_generator(draw_seed()), X.shape, rate)
    else:
        mask = model.ops.get_dropout_mask(X.shape, rate)
    return X * mask, lambda dY: dY * mask


def draw_seed() -> int:
    """Draw a seed from numpy's global generator, which `fix_random_seed` seeds."""
    return int(np.random.randint(2**31))


def make_generator(seed: int) -> np.random.SFC64:
    """Make a fast generator of random bits."""
    return np.random.SFC64(seed)


def draw_mask(generator: np.random.SFC64, shape: tuple[int, ...], rate: float) -> NDArray[np.float32]:
    """Draw a mask of zeros and of the factor 1 / (1 - rate), which keeps the expected value.

    generator (SFC64): Source of random bits.
    shape (tuple[int, ...]): Shape of the mask.
    rate (float): Probability of a zero. It is rounded to a multiple of 1 / 65,536, and the factor with it.
    """
    size = int(np.prod(shape))
    kept = round((1.0 - rate) * N_VALUES)
    if not kept:
        return np.zeros(shape, dtype="float32")
    bits = generator.random_raw((size + 3) // 4).view(np.uint16)[:size]
    mask = np.multiply(bits < kept, np.float32(N_VALUES / kept), dtype="float32")
    return mask.reshape(shape)
