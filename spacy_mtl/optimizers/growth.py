"""Moments and averages of parameters that have grown, as those of a head do when it gets a new label."""

from typing import Any

from thinc.api import Optimizer
from thinc.backends import get_array_ops
from thinc.optimizers import KeyT

from ..protocols.arrays import ArrayT


def move_moments(optimizer: Optimizer, old: KeyT, new: KeyT, *, shape: tuple[int, ...], grown: tuple[int, ...]) -> None:
    """Move the moments and the average of a parameter to a new key, and enlarge them to its new shape.

    The old values take the first rows and columns. New values have no momentum, and an average of 0, which is what they
    were so far. Their mean square is the average mean square of the old values. With 0 their first steps would be
    several times the learning rate, since the bias correction for new parameters has ended.

    optimizer (Optimizer): The optimizer.
    old (KeyT): Key of the parameter before.
    new (KeyT): Key of the larger parameter.
    shape (tuple[int, ...]): Old shape.
    grown (tuple[int, ...]): New shape.
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


def fits_in(shape: tuple[int, ...], grown: tuple[int, ...]) -> bool:
    """Whether a parameter of this shape can have grown to the other one."""
    return len(shape) == len(grown) and all(size <= larger for size, larger in zip(shape, grown, strict=True))


def _enlarge(array: ArrayT, shape: tuple[int, ...], fill: float) -> ArrayT:
    larger: ArrayT = get_array_ops(array).alloc_f(shape)
    larger += fill
    larger[tuple(slice(size) for size in array.shape)] = array
    return larger
