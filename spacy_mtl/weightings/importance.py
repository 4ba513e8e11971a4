"""Weights by importance and by how much data a head has."""

import math
from collections.abc import Mapping
from typing import Any

from ..balance.head_weights import with_mean_one
from ..balance.loss_weighting import LossWeighting
from ..protocols.weighting import Step


def make_importance_v1(weights: dict[str, float] | None = None, power: float = 1.0) -> "Importance":
    """Build the weighting that multiplies the user's importance of a head by how much data the head has.

    With n[k] the annotated units (docs, or tokens) that head k has learned from so far, this batch included, of m heads
    with gold in the batch:

        factor[k] = m * n[k] ** power / sum over heads of n[i] ** power

    Note that a loss is a mean over all units of the batch, annotated or not, so a head with gold on few of them counts
    less even without this; and that a tagger counts tokens where a classifier counts docs.

    weights (dict[str, float] | None): Importance of the heads, by name. Heads that are not named have 1.0. With 0.0 the
        loss is reported, and trains nothing.
    power (float): 1 weighs in proportion to the data, 0 not by data at all; below 0 heads with little data count more.
    """
    if not math.isfinite(power):
        raise ValueError(f"{Importance.maker}: power is {power}; it must be a number")
    return Importance(weights, power)


class Importance(LossWeighting):
    """The weighting. It remembers the counts."""

    maker = "spacy_mtl.Importance.v1"

    def __init__(self, weights: Mapping[str, float] | None, power: float) -> None:
        super().__init__(weights)
        self.power = power
        self.counts: dict[str, int] = {}

    def factors(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The formula above."""
        for name, count in step.count_units().items():
            self.counts[name] = self.counts.get(name, 0) + count
        return with_mean_one({name: max(self.counts.get(name, 0), 1) ** self.power for name in losses})

    def get_state(self) -> dict[str, Any]:
        """The counts."""
        return {"counts": self.counts}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take the counts back."""
        self.counts = state["counts"]
