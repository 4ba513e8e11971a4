"""What an optimizer keeps for a parameter that has grown, as a head's do when it gets a new label."""

from typing import Any

from thinc.api import Optimizer
from thinc.backends import get_array_ops
from thinc.optimizers import KeyT

from ..protocols.arrays import ArrayT


def move_moments(optimizer: Optimizer, old: KeyT, new: KeyT, *, shape: tuple[int, ...], grown: tuple[int, ...]) -> None:
    """Keep under the new key what was kept under the old one. The old values lie in the first rows and columns.

    New values begin with no momentum, an average of 0, as they were 0, and the mean of the other values' mean squares:
    with 0 their first steps would be several times the learning rate, since the correction for a young parameter is
    over.
    """
    if old in optimizer.nr_update:
        optimizer.nr_update[new] = optimizer.nr_update.pop(old)
    kept: Any
    for kept in (optimizer.mom1, optimizer.mom2, optimizer.averages or {}):
        if old in kept:
            array: ArrayT = kept.pop(old)
            fill = float(array.mean()) if kept is optimizer.mom2 else 0.0
            larger = _enlarge(array.reshape(shape), grown, fill)
            kept[new] = larger.reshape(-1) if array.ndim == 1 else larger


def _enlarge(array: ArrayT, shape: tuple[int, ...], fill: float) -> ArrayT:
    larger: ArrayT = get_array_ops(array).alloc_f(shape)
    larger += fill
    larger[tuple(slice(size) for size in array.shape)] = array
    return larger
