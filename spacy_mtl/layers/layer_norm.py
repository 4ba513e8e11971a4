"""Layer normalisation without gain and bias, for the adapters in `sharing/`: the linear layer after it has its own."""

from collections.abc import Callable

from thinc.types import Floats2d
from thinc.util import get_array_module

from ..protocols.arrays import ArrayT

EPSILON = 1e-5


def layer_norm(X: Floats2d) -> tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
    """Normalise each row to mean 0 and variance 1 (Ba et al. 2016). RETURNS: Y (n, width) and backprop: dY -> dX."""
    xp = get_array_module(X)
    scale: ArrayT = 1.0 / xp.sqrt(X.var(axis=1, keepdims=True) + EPSILON)
    Y: ArrayT = (X - X.mean(axis=1, keepdims=True)) * scale

    def backprop(dY: Floats2d) -> Floats2d:
        shared = dY.mean(axis=1, keepdims=True) + Y * (dY * Y).mean(axis=1, keepdims=True)
        return (dY - shared) * scale

    return Y, backprop
