"""A small quadratic program whose unknowns must not be negative."""

import numpy as np
from numpy.typing import NDArray

from .gramian import GramianT, PerLossT

# Added to the diagonal, relative to its mean: parallel gradients make the matrix singular.
RIDGE = 1e-11
TOLERANCE = 1e-10


def minimize_nonnegative(H: GramianT, c: PerLossT) -> PerLossT:
    """Find the x >= 0 with the least x'Hx / 2 + c'x, for a positive semidefinite H, by the active sets of Lawson and
    Hanson (1974, "Solving Least Squares Problems", ch. 23): exact, and a few solves for a handful of unknowns.

    H (GramianT): (m, m). c (PerLossT): (m,). RETURNS (PerLossT): (m,).
    """
    n = len(c)
    H = H + RIDGE * np.trace(H) / n * np.eye(n)
    x, free = np.zeros(n), np.zeros(n, dtype=bool)
    tolerance = TOLERANCE * (np.abs(c).max() or 1.0)
    for _ in range(3 * n):
        slope = H @ x + c
        slope[free] = 0.0
        entering = int(slope.argmin())
        if slope[entering] >= -tolerance:
            break
        free[entering] = True
        x = _descend(H, c, x, free)
    return x


def _descend(H: GramianT, c: PerLossT, x: PerLossT, free: NDArray[np.bool_]) -> PerLossT:
    """Go to the minimum over the free unknowns. Those that would become negative on the way stop at 0 and are free no
    more.
    """
    while free.any():
        best = np.zeros(len(x))
        best[free] = np.linalg.solve(H[np.ix_(free, free)], -c[free])
        negative = free & (best <= 0)
        if not negative.any():
            return best
        share = (x[negative] / (x[negative] - best[negative])).min()
        x = x + share * (best - x)
        free &= x > np.finfo(float).eps * np.abs(x).max()
        x[~free] = 0.0
    return np.zeros(len(x))
