"""Weights by what is missing to target scores."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..balance.head_weights import check_known, with_mean_one
from ..balance.loss_weighting import LossWeighting
from ..protocols.weighting import Step


def make_targets_v1(
    targets: dict[str, float], weights: dict[str, float] | None = None, strength: float = 4.0
) -> "Targets":
    """Build the weighting that gives more weight to heads whose score falls short of what is asked of them.

    After each evaluation, with s[k] head k's main score and t[k] its target, of m heads:

        lag[k]    = max(0, 1 - s[k] / t[k])
        factor[k] = m * (1 + strength * lag[k]) / sum over heads of 1 + strength * lag[i]

    Before the first evaluation all factors are 1. A head without a target, or without a score, has a lag of 0.

    targets (dict[str, float]): Target scores by head, above 0 and up to 1.
    weights (dict[str, float] | None): Factors of the heads' losses, by name. Heads that are not named have 1.0. With
        0.0 the loss is reported, and trains nothing.
    strength (float): How much more a head counts that has a score of 0 than one that has reached its target, at least
        0.
    """
    wrong = {name: target for name, target in targets.items() if not 0 < target <= 1}
    if wrong:
        raise ValueError(f"{Targets.maker}: targets must be scores above 0 and up to 1, but there is {wrong}")
    if not 0 <= strength < math.inf:
        raise ValueError(f"{Targets.maker}: strength is {strength}; it must be at least 0")
    return Targets(targets, weights, strength)


class Targets(LossWeighting):
    """The weighting. It remembers the lags, since a resumed training has no scores until its next evaluation."""

    maker = "spacy_mtl.Targets.v1"

    def __init__(self, targets: Mapping[str, float], weights: Mapping[str, float] | None, strength: float) -> None:
        super().__init__(weights)
        self.targets = dict(targets)
        self.strength = strength
        self.lags: dict[str, float] = {}

    def bind(self, heads: Sequence[str]) -> None:
        """Refuse weights that make no sense, and targets of heads that don't exist."""
        super().bind(heads)
        check_known(self.targets, heads, self.maker, "targets")

    def factors(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The formula above."""
        for name, target in self.targets.items():
            score = step.scores.get(name)
            if score is not None:
                self.lags[name] = max(0.0, 1.0 - score / target)
        return with_mean_one({name: 1.0 + self.strength * self.lags.get(name, 0.0) for name in losses})

    def get_state(self) -> dict[str, Any]:
        """The lags."""
        return {"lags": self.lags}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take the lags back."""
        self.lags = state["lags"]
