"""The maximum over ranges of rows, for any number of ranges of any length, by a sparse table.

Level k holds the maximum of 2**k rows from each row on. Any range is covered by two entries of one level, so the work
does not grow with the lengths of the ranges (Bender and Farach-Colton 2000).
"""

from collections.abc import Callable

import numpy as np
from thinc.util import get_array_module

from ...protocols.arrays import ArrayT, IntsT


def range_max(X: ArrayT, starts: IntsT, ends: IntsT, *, is_train: bool) -> tuple[ArrayT, Callable[[ArrayT], ArrayT]]:
    """Compute the maximum of each column over each range of rows.

    X (Floats2d): (n_rows, width).
    starts, ends (IntsT): First row of each range and the row after its last, (n_ranges,), in main memory. An empty
        range, with an end that is not larger than the start, has zeros.
    is_train (bool): Whether backprop will be called.
    RETURNS: The maxima (n_ranges, width), and backprop: dY -> dX. Among equal numbers one gets the gradient.
    """
    xp = get_array_module(X)
    sizes = np.maximum(ends - starts, 0)
    levels = np.frexp(np.maximum(sizes, 1))[1] - 1
    Y = xp.zeros((len(starts), X.shape[1]), dtype=X.dtype)
    which: ArrayT = xp.full(Y.shape, -1, dtype="int64") if is_train else None
    values, origins = X, xp.broadcast_to(xp.arange(len(X))[:, None], X.shape) if is_train else None
    for level in range(int(levels.max(initial=0)) + 1):
        width = 2**level
        if level:
            half = width // 2
            values, origins = _larger(values[:-half], values[half:], origins, slice(None, -half), slice(half, None))
        own = np.flatnonzero((levels == level) & (sizes > 0))
        if not len(own):
            continue
        rows, left, right = xp.asarray(own), xp.asarray(starts[own]), xp.asarray(ends[own] - width)
        if level:
            found, places = _larger(take_rows(values, left), take_rows(values, right), origins, left, right)
        else:
            found, places = take_rows(values, left), None if origins is None else origins[left]
        Y[rows] = found
        if is_train:
            which[rows] = places

    def backprop(dY: ArrayT) -> ArrayT:
        if not X.size or not Y.size:
            return xp.zeros_like(X)
        flat = xp.maximum(which, 0) * X.shape[1] + xp.arange(X.shape[1])
        summed = xp.bincount(flat.reshape(-1), weights=(dY * (which >= 0)).reshape(-1), minlength=X.size)
        return summed.reshape(X.shape).astype(X.dtype)

    return Y, backprop


def _larger(left: ArrayT, right: ArrayT, origins: ArrayT, own: ArrayT, other: ArrayT) -> tuple[ArrayT, ArrayT]:
    """The larger of two numbers each, and the row of X that it comes from; None if these are not wanted."""
    xp = get_array_module(left)
    if origins is None:
        return xp.maximum(left, right), None
    is_left = left >= right
    return xp.where(is_left, left, right), xp.where(is_left, origins[own], origins[other])


def take_rows(X: ArrayT, rows: IntsT) -> ArrayT:
    """Copy rows. `take` is faster than `X[rows]`."""
    taken: ArrayT = X.take(get_array_module(X).asarray(rows), axis=0)
    return taken
