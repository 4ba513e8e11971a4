"""Weights by how fast the losses fall."""

import math
from collections.abc import Mapping
from typing import Any

from ..balance.head_weights import with_mean_one
from ..balance.loss_weighting import LossWeighting
from ..protocols.weighting import Step


def make_dwa_v1(weights: dict[str, float] | None = None, temperature: float = 2.0, window: int = 200) -> "DWA":
    """Build the weighting that gives more weight to losses that fall slowly: Dynamic Weight Average (Liu et al. 2019,
    "End-to-End Multi-Task Learning with Attention", CVPR).

    With L[k] the mean of head k's loss in the last full window of steps, and L'[k] that in the window before, of m
    heads:

        factor[k] = m * exp(L[k] / L'[k] / temperature) / sum over heads of exp(L[i] / L'[i] / temperature)

    Until two windows are full, all factors are 1. The paper's windows are epochs.

    weights (dict[str, float] | None): Factors of the heads' losses, by name. Heads that are not named have 1.0. With
        0.0 the loss is reported, and trains nothing.
    temperature (float): Above 0; the higher, the more equal the factors.
    window (int): Number of steps over which losses are averaged.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"{DWA.maker}: temperature is {temperature}; it must be above 0")
    if window < 1:
        raise ValueError(f"{DWA.maker}: window is {window}; it must be at least 1 step")
    return DWA(weights, temperature, window)


class DWA(LossWeighting):
    """The weighting. It remembers the means of two windows, and the losses of the one that is being filled."""

    maker = "spacy_mtl.DWA.v1"

    def __init__(self, weights: Mapping[str, float] | None, temperature: float, window: int) -> None:
        super().__init__(weights)
        self.temperature = temperature
        self.window = window
        self.n_steps = 0
        self.sums: dict[str, list[float]] = {}
        self.means: list[dict[str, float]] = [{}, {}]

    def factors(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The formula above. A head without a loss in one of the two windows counts as one whose loss did not move."""
        before, last = self.means
        rates = {name: last[name] / before[name] if name in last and before.get(name) else 1.0 for name in losses}
        self._remember(losses)
        steepest = max(rates.values(), default=0.0)
        return with_mean_one({name: math.exp((rate - steepest) / self.temperature) for name, rate in rates.items()})

    def get_state(self) -> dict[str, Any]:
        """The windows."""
        return {"n_steps": self.n_steps, "sums": self.sums, "means": self.means}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take the windows back."""
        self.n_steps, self.sums, self.means = state["n_steps"], state["sums"], state["means"]

    def _remember(self, losses: Mapping[str, float]) -> None:
        for name, loss in losses.items():
            total, count = self.sums.get(name, [0.0, 0])
            self.sums[name] = [total + loss, count + 1]
        self.n_steps += 1
        if self.n_steps == self.window:
            self.means = [self.means[1], {name: total / count for name, (total, count) in self.sums.items()}]
            self.n_steps, self.sums = 0, {}
