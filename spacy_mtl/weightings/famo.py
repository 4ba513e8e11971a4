"""All losses fall at one rate."""

import math
from collections.abc import Mapping
from typing import Any

from ..balance.head_weights import with_mean_one
from ..balance.loss_weighting import LossWeighting
from ..protocols.weighting import Step

# A loss of 0 has no logarithm.
SMALLEST = 1e-8


def make_famo_v1(
    weights: dict[str, float] | None = None, learn_rate: float = 0.025, weight_decay: float = 0.001
) -> "FAMO":
    """Build the weighting that lets all losses fall by the same share, without looking at gradients (Liu et al. 2023,
    "FAMO: Fast Adaptive Multitask Optimization", NeurIPS).

    With L[k] the loss of head k, of m heads, and x[k] a number that is learned and begins at 0:

        z         = softmax(x)
        factor[k] = m * (z[k] / L[k]) / sum over heads of z[i] / L[i]

    and, after each step, with d[k] = log L[k] - log L_next[k] the share by which a loss has fallen:

        x[k] = x[k] - learn_rate * (z[k] * (d[k] - sum over heads of z[i] * d[i]) + weight_decay * x[k])

    The paper takes both losses from one batch, which is run twice; here the next loss is that of the next batch in
    which the head has gold, as it allows, so it costs nothing and is noisier.

    weights (dict[str, float] | None): Factors of the heads' losses, by name. Heads that are not named have 1.0. With
        0.0 the loss is reported, and trains nothing.
    learn_rate (float): Step of the numbers x, at least 0.
    weight_decay (float): Pull of the numbers x to 0, at least 0.
    """
    for name, value in (("learn_rate", learn_rate), ("weight_decay", weight_decay)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{FAMO.maker}: {name} is {value}; it must be at least 0")
    return FAMO(weights, learn_rate, weight_decay)


class FAMO(LossWeighting):
    """The weighting. It remembers x, and the last loss of each head as a logarithm."""

    maker = "spacy_mtl.FAMO.v1"

    def __init__(self, weights: Mapping[str, float] | None, learn_rate: float, weight_decay: float) -> None:
        super().__init__(weights)
        self.learn_rate = learn_rate
        self.weight_decay = weight_decay
        self.logits: dict[str, float] = {}
        self.last: dict[str, float] = {}

    def factors(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The formula above."""
        logs = {name: math.log(max(loss, SMALLEST)) for name, loss in losses.items()}
        self._learn(logs)
        self.last.update(logs)
        shares = self._softmax(logs)
        # relative to the largest of them: losses may differ by many powers of ten
        exponents = {name: math.log(share) - logs[name] for name, share in shares.items()}
        largest = max(exponents.values(), default=0.0)
        return with_mean_one({name: math.exp(value - largest) for name, value in exponents.items()})

    def get_state(self) -> dict[str, Any]:
        """What is learned, and the last losses."""
        return {"logits": self.logits, "last": self.last}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.logits, self.last = state["logits"], state["last"]

    def _softmax(self, names: Mapping[str, float]) -> dict[str, float]:
        logits = {name: self.logits.get(name, 0.0) for name in names}
        largest = max(logits.values(), default=0.0)
        shares = {name: math.exp(logit - largest) for name, logit in logits.items()}
        return {name: share / sum(shares.values()) for name, share in shares.items()}

    def _learn(self, logs: Mapping[str, float]) -> None:
        """Move x of the heads that had a loss before and have one now, if there are two to compare."""
        fallen = {name: self.last[name] - logs[name] for name in logs if name in self.last}
        if len(fallen) < 2:
            return
        shares = self._softmax(fallen)
        mean = sum(shares[name] * fallen[name] for name in fallen)
        for name in fallen:
            x = self.logits.get(name, 0.0)
            slope = shares[name] * (fallen[name] - mean)
            self.logits[name] = x - self.learn_rate * (slope + self.weight_decay * x)
