"""The direction near the mean that is best for the loss that gains least."""

import numpy as np
from numpy.typing import NDArray

from ..balance.gramian import GramianT, PerLossT
from ..balance.gramian_weighting import AtT, GramianWeighting
from ..balance.nonnegative_qp import minimize_nonnegative
from ..protocols.weighting import Step

# Added to the diagonal: where gradients cancel, their factors would have no bound.
RIDGE = 1e-9
N_ROUNDS = 60
TOLERANCE = 1e-9


def make_cagrad_v1(
    weights: dict[str, float] | None = None, at: AtT = "last_layer", c: float = 0.4, every: int = 1
) -> "CAGrad":
    """Build the weighting that looks near the mean gradient for the direction in which the loss that falls least falls
    most (Liu et al. 2021, "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS).

    With `g[k]` the gradient of head k's loss, of m heads, and `w[k]` the user's weight:

        g0     = sum of w[k] * g[k] / sum of w[k]
        d      = argmax (min over heads of g[k] · d),  |d - g0| <= c * |g0|
        update = sum of w[k] * d

    weights (dict[str, float] | None): Factors of the heads' losses, by name. Heads that are not named have 1.0. With
        0.0 the loss is reported, and trains nothing.
    at (str): Where the gradients are compared: "last_layer" for the parameters of the last shared layer, which the
        encoder must be able to give, "vectors" for the shared vectors.
    c (float): How far the direction may be from the mean, as a share of the mean's norm: at least 0, the plain sum, and
        below 1, so that the mean of the losses still falls.
    every (int): Compare the gradients in one step of so many, on average; the steps between take the last factors that
        the same heads had. 1 for each step, as in the paper; more is cheaper.
    """
    if not 0 <= c < 1:
        raise ValueError(f"{CAGrad.maker}: c is {c}; it must be at least 0 and less than 1")
    return CAGrad(c, at=at, every=every, weights=weights)


class CAGrad(GramianWeighting):
    """The weighting."""

    maker = "spacy_mtl.CAGrad.v1"

    def __init__(self, c: float, *, at: AtT, every: int, weights: dict[str, float] | None) -> None:
        super().__init__(at=at, every=every, weights=weights)
        self.c = c

    def solve(self, gramian: GramianT, weights: PerLossT, step: Step) -> PerLossT:
        """The formula above."""
        mean = weights / weights.sum()
        products = gramian @ mean
        radius = self.c * np.sqrt(max(mean @ products, 0.0))
        gramian = gramian + RIDGE * np.eye(len(gramian))
        factors: PerLossT = weights.sum() * (mean + lift_least(gramian, products, radius))
        return factors


def lift_least(gramian: GramianT, products: PerLossT, radius: float) -> PerLossT:
    """The factors of the gradients in e, the step of this length that lifts the least of g[k] · (g0 + e) most, (m,).

    products (PerLossT): g[k] · g0, (m,).

    To lift all of them to at least a height t, the shortest e is a quadratic program, and its length grows with t: so
    the height at which it has the radius is looked for. While the same gradients take part in e, that height is the
    root of a quadratic equation. If no direction lifts all of them further, e is shorter.
    """
    low, high = products.min(), (products + radius * np.sqrt(gramian.diagonal())).min()
    within, height = np.zeros(len(products)), high
    for _ in range(N_ROUNDS if radius > 0 else 0):
        x = minimize_nonnegative(gramian, products - height)
        length = float(np.sqrt(max(float(x @ gramian @ x), 0.0)))
        if length <= radius:
            within, low = x, height
        else:
            high = height
        if abs(length - radius) <= TOLERANCE * radius or high - low <= TOLERANCE * abs(high):
            break
        height = _height_at(gramian, products, radius, x > 0)
        if not low < height < high:
            height = (low + high) / 2
    return within


def _height_at(gramian: GramianT, products: PerLossT, radius: float, taking: NDArray[np.bool_]) -> float:
    """The height for a step of this length, if these gradients take part; NaN if there is none."""
    if not taking.any():
        return float("nan")
    rows = np.stack([np.ones(int(taking.sum())), products[taking]])
    (a, b), (_, c) = rows @ np.linalg.lstsq(gramian[np.ix_(taking, taking)], rows.T, rcond=None)[0]
    root = b * b - a * (c - radius**2)
    return float((b + np.sqrt(root)) / a) if root >= 0 and a > 0 else float("nan")
