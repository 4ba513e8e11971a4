"""Weights that are led to gradients in proportion to how far the losses lag."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from thinc.types import Floats2d

from ..balance.gramian import gramian_of
from ..balance.gramian_weighting import AtT, weighted_sum
from ..balance.head_weights import with_mean_one
from ..balance.loss_weighting import LossWeighting
from ..protocols.weighting import Step

# The least that a learned weight can be.
SMALLEST = 0.01


def make_grad_norm_v1(
    weights: dict[str, float] | None = None, at: AtT = "last_layer", alpha: float = 1.5, learn_rate: float = 0.025
) -> "GradNorm":
    """Build the weighting that leads the losses' weights, step by step, to where the norms of their gradients are as
    the losses lag (Chen et al. 2018, "GradNorm: Gradient Normalization for Adaptive Loss Balancing", ICML).

    With L[k] the loss of head k and L0[k] its first one, g[k] its gradient, w[k] the user's weight, x[k] a factor that
    is learned and begins at 1, of m heads:

        r[k] = (L[k] / L0[k]) / mean over heads of L[i] / L0[i]
        N[k] = x[k] * |g[k]|
        goal = sum over heads of | N[k] - mean(N) * w[k] * r[k] ** alpha |,  its last part taken as given

    After each step x moves down the goal's slope, relative to the mean of |g|, and is scaled to a mean of 1. The loss's
    factor is w[k] * x[k].

    weights (dict[str, float] | None): Relative norms that the gradients shall have, by head. Heads that are not named
        have 1.0. With 0.0 the loss is reported, and trains nothing.
    at (str): Where the gradients are compared: "last_layer" for the parameters of the last shared layer, which the
        encoder must be able to give, "vectors" for the shared vectors.
    alpha (float): How strongly losses that lag are pulled along, at least 0; with 0 all norms tend to one.
    learn_rate (float): Step of the factors, at least 0.
    """
    for name, value in (("alpha", alpha), ("learn_rate", learn_rate)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{GradNorm.maker}: {name} is {value}; it must be at least 0")
    return GradNorm(weights, at, alpha, learn_rate)


class GradNorm(LossWeighting):
    """The weighting. It remembers the factors and the first losses."""

    maker = "spacy_mtl.GradNorm.v1"

    def __init__(self, weights: Mapping[str, float] | None, at: AtT, alpha: float, learn_rate: float) -> None:
        super().__init__(weights)
        self.needs = at
        self.alpha = alpha
        self.learn_rate = learn_rate
        self.learned: dict[str, float] = {}
        self.first: dict[str, float] = {}
        self.last_factors: Mapping[str, float] = {}
        self._losses: dict[str, float] = {}

    def factors(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The factors so far, scaled to a mean of 1 among the heads with gold."""
        self._losses = dict(losses)
        self.first = dict(losses) | self.first
        return with_mean_one({name: self.learned.get(name, 1.0) for name in losses})

    def merge(self, gradients: Mapping[str, Floats2d], step: Step) -> Floats2d:
        """The plain sum of the gradients, (n_tokens, width), after which the factors move."""
        self.last_factors = dict.fromkeys(gradients, 1.0)
        names = self.head_weights.balanced(gradients, step)
        if len(names) > 1:
            compared: Mapping[str, Any] = step.last_layer if self.needs == "last_layer" else gradients
            self._learn(names, np.sqrt(gramian_of([compared[name] for name in names]).diagonal()))
        return weighted_sum(gradients, self.last_factors)

    def get_state(self) -> dict[str, Any]:
        """The factors and the first losses."""
        return {"learned": self.learned, "first": self.first}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.learned, self.first = state["learned"], state["first"]

    def _learn(self, names: list[str], weighted_norms: "np.ndarray[Any, np.dtype[np.float64]]") -> None:
        """Move the factors of these heads. The norms have the user's weights and the factors already."""
        own = np.array([self.head_weights.of(name) for name in names])
        x = np.array([self.learned.get(name, 1.0) for name in names])
        x *= len(x) / x.sum()
        norms = weighted_norms / own
        lags = np.array([self._losses[name] / self.first[name] if self.first[name] > 0 else 1.0 for name in names])
        if norms.sum() == 0 or lags.sum() == 0:
            return
        goals = norms.mean() * own * (lags / lags.mean()) ** self.alpha
        slopes = np.sign(norms - goals) * norms / x
        moved = np.maximum(x - self.learn_rate * slopes / (norms / x).mean(), SMALLEST)
        self.learned |= with_mean_one(dict(zip(names, moved.tolist(), strict=True)))
