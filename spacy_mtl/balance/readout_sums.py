"""The read-out of a training: how large each head's loss and gradient are, how much each head moves the encoder, and
which heads pull it in different directions.

A read-out is JSON:

    at             where the gradients were measured: "last_layer" for the parameters of the last shared layer,
                   "vectors" for the shared vectors, null before the first measurement
    steps          number of steps in which a head found gold
    measured       number of these in which gradients were measured
    heads          by the name of the head
        loss           in nats, mean over the steps in which the head had gold
        weight         factor with which the loss's gradient reaches the encoder, mean over the same steps
        gradient_norm  norm of the loss's gradient, without the weight, mean over the measured steps that had one
        encoder_share  norm of the weighted gradient, divided by the sum of these norms over all heads; mean over all
                       measured steps, of which those without gold for the head count as 0
        adversarial    whether the gradient reaches the encoder reversed
        steps          number of steps in which the head had gold
        measured       number of measured steps in which its gradient was known
    conflict       for each two heads that were measured in one step
        heads          their names
        cosine         of the angle between the gradients of their losses, mean over these steps
        share          share of these steps in which it was negative
        measured       number of these steps

What is unknown is null.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from ..protocols.readout import ReadoutT
from .gramian import GramianT


@dataclass
class HeadSums:
    """Sums over steps, and the numbers of these steps."""

    steps: int = 0
    loss: float = 0.0
    weight: float = 0.0
    measured: int = 0
    gradient_norm: float = 0.0
    encoder_share: float = 0.0
    adversarial: bool = False


@dataclass
class PairSums:
    """Sums over measured steps, and the number of these steps."""

    measured: int = 0
    cosine: float = 0.0
    conflicts: float = 0.0


@dataclass
class ReadoutSums:
    """All that a read-out is made from. Two of them can be added.

    pairs (dict[str, dict[str, PairSums]]): By the names of both heads, in alphabetical order.
    """

    at: str | None = None
    steps: int = 0
    measured: int = 0
    heads: dict[str, HeadSums] = field(default_factory=dict)
    pairs: dict[str, dict[str, PairSums]] = field(default_factory=dict)

    def add_step(
        self, losses: Mapping[str, float], weights: Mapping[str, float], adversarial: Iterable[str] = ()
    ) -> None:
        """Add a step.

        losses (Mapping[str, float]): The losses of the heads with gold, in nats.
        weights (Mapping[str, float]): The factor of each of their gradients.
        adversarial (Iterable[str]): The heads whose gradient is reversed.
        """
        reversed_heads = set(adversarial)
        self.steps += 1
        for name, loss in losses.items():
            head = self._head(name)
            head.steps += 1
            head.loss += loss
            head.weight += weights[name]
            head.adversarial = name in reversed_heads

    def add_gradients(self, names: list[str], gramian: GramianT, weights: Mapping[str, float], at: str) -> None:
        """Add the gradients of a step. Gradients of zero have no angle. If they were measured elsewhere than those
        before, the sums of gradients begin again, since the two can't be compared.

        names (list[str]): The heads.
        gramian (GramianT): Of the gradients of their losses, without weights, (n_heads, n_heads).
        weights (Mapping[str, float]): The factor of each gradient.
        at (str): "last_layer" or "vectors".
        """
        if self.at not in (None, at):
            self._forget_gradients()
        self.at = at
        norms = dict(zip(names, np.sqrt(gramian.diagonal()).tolist(), strict=True))
        pulls = {name: abs(weights[name]) * norm for name, norm in norms.items()}
        total = sum(pulls.values())
        if not total:
            return
        self.measured += 1
        for name, norm in norms.items():
            head = self._head(name)
            head.measured += 1
            head.gradient_norm += norm
            head.encoder_share += pulls[name] / total
        for (i, one), (j, other) in combinations(enumerate(names), 2):
            if norms[one] and norms[other]:
                cosine = float(gramian[i, j]) / norms[one] / norms[other]
                self._pair(one, other, PairSums(1, cosine, float(cosine < 0)))

    def add(self, readout: ReadoutT) -> None:
        """Add what `as_readout` returned."""
        if self.at not in (None, readout["at"]) and readout["measured"]:
            self._forget_gradients()
        self.at = readout["at"] or self.at
        self.steps += readout["steps"]
        self.measured += readout["measured"]
        for name, found in readout["heads"].items():
            head = self._head(name)
            head.steps += found["steps"]
            head.measured += found["measured"]
            head.loss += found["steps"] * (found["loss"] or 0.0)
            head.weight += found["steps"] * (found["weight"] or 0.0)
            head.gradient_norm += found["measured"] * (found["gradient_norm"] or 0.0)
            head.encoder_share += readout["measured"] * (found["encoder_share"] or 0.0)
            head.adversarial = found["adversarial"]
        for found in readout["conflict"]:
            (one, other), n = found["heads"], found["measured"]
            self._pair(one, other, PairSums(n, n * found["cosine"], n * found["share"]))

    def as_readout(self) -> ReadoutT:
        """The read-out, as described above; empty without a step."""
        if not self.steps:
            return {}
        return {
            "at": self.at,
            "steps": self.steps,
            "measured": self.measured,
            "heads": {name: self._describe(head) for name, head in self.heads.items()},
            "conflict": [
                {
                    "heads": [one, other],
                    "cosine": pair.cosine / pair.measured,
                    "share": pair.conflicts / pair.measured,
                    "measured": pair.measured,
                }
                for one, others in self.pairs.items()
                for other, pair in others.items()
            ],
        }

    def get_state(self) -> dict[str, Any]:
        """All sums, in types that msgpack can write."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "ReadoutSums":
        """Restore what `get_state` returned."""
        heads = {name: HeadSums(**sums) for name, sums in state["heads"].items()}
        pairs = {
            one: {other: PairSums(**sums) for other, sums in others.items()} for one, others in state["pairs"].items()
        }
        return cls(state["at"], state["steps"], state["measured"], heads, pairs)

    def _head(self, name: str) -> HeadSums:
        return self.heads.setdefault(name, HeadSums())

    def _pair(self, one: str, other: str, more: PairSums) -> None:
        first, second = sorted((one, other))
        pair = self.pairs.setdefault(first, {}).setdefault(second, PairSums())
        pair.measured += more.measured
        pair.cosine += more.cosine
        pair.conflicts += more.conflicts

    def _forget_gradients(self) -> None:
        self.measured = 0
        self.pairs.clear()
        for head in self.heads.values():
            head.measured, head.gradient_norm, head.encoder_share = 0, 0.0, 0.0

    def _describe(self, head: HeadSums) -> dict[str, Any]:
        return {
            "loss": head.loss / head.steps if head.steps else None,
            "weight": head.weight / head.steps if head.steps else None,
            "gradient_norm": head.gradient_norm / head.measured if head.measured else None,
            "encoder_share": head.encoder_share / self.measured if self.measured else None,
            "adversarial": head.adversarial,
            "steps": head.steps,
            "measured": head.measured,
        }


def add_up(readouts: Iterable[ReadoutT]) -> ReadoutT:
    """The read-out of several stretches of training, or of several trainings, taken together."""
    sums = ReadoutSums()
    for readout in readouts:
        if readout:
            sums.add(readout)
    return sums.as_readout()
