"""Weightings that make the encoder's gradient from the Gramian of the losses' gradients."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from thinc.api import Model
from thinc.types import Floats2d

from ..protocols.arrays import ArrayT
from ..protocols.weighting import NeedsT, Step
from .gramian import GramianT, PerLossT, gramian_of
from .head_weights import HeadWeights
from .sampled_steps import is_sampled

# Where the gradients are compared: at the parameters of the last shared layer, or at the shared vectors.
AtT = Literal["last_layer", "vectors"]
# A gradient that is shorter than the longest by this factor is rounding error: it has no direction to speak of.
SHORTEST = 1e-8


class GramianWeighting(ABC):
    """A weighting of this kind. The encoder gets a weighted sum of the losses' gradients; each head's own parameters
    get the gradient of its loss, times the user's weight.

    A gradient of zero has no direction and takes no part. Neither do adversarial heads, which would be projected away:
    they keep the user's weight. If fewer than two gradients are left, this is the plain sum.

    With `every` above 1 the gradients are compared in a sample of the steps only. The steps between take the last
    factors that the same heads had.

    maker (str): The weighting's registered name.
    """

    maker: str
    needs_several = True
    model: Model[Any, Any] | None = None

    def __init__(self, *, at: AtT, every: int, weights: Mapping[str, float] | None = None) -> None:
        if every < 1:
            raise ValueError(f"{self.maker}: every is {every}; it must be at least 1 step")
        self.needs: NeedsT = at
        self.every = every
        self.head_weights = HeadWeights(self.maker, weights)
        self.last_factors: Mapping[str, float] = {}
        self.kept: dict[frozenset[str], Mapping[str, float]] = {}

    @abstractmethod
    def solve(self, gramian: GramianT, weights: PerLossT, step: Step) -> PerLossT:
        """The factors of the gradients, (m,), of which there are at least two.

        gramian (GramianT): (m, m), of gradients without the user's weights, scaled to a mean of 1 on its diagonal.
        weights (PerLossT): The user's weights, (m,), all above 0.
        """

    def bind(self, heads: Sequence[str]) -> None:
        """Refuse weights that make no sense."""
        self.head_weights.check(heads)

    def weights(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The user's weights."""
        return self.head_weights.times({}, losses)

    def merge(self, gradients: Mapping[str, Floats2d], step: Step) -> Floats2d:
        """The weighted sum, (n_tokens, width)."""
        heads = frozenset(gradients)
        if self.compares(heads, step):
            self.kept[heads] = self.factors(gradients, step)
        self.last_factors = self.kept[heads]
        return weighted_sum(gradients, self.last_factors)

    def compares(self, heads: Iterable[str], step: Step) -> bool:
        """Whether the gradients of these heads are compared in this step."""
        return frozenset(heads) not in self.kept or is_sampled(step.number, self.every)

    def get_state(self) -> dict[str, Any]:
        """The factors that are kept, by head, of each set of heads."""
        return {"kept": [dict(factors) for factors in self.kept.values()]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take the kept factors back."""
        self.kept = {frozenset(factors): factors for factors in state["kept"]}

    def factors(self, gradients: Mapping[str, Floats2d], step: Step) -> dict[str, float]:
        """The factor of each gradient, by head. The gradients have the user's weights already, so the methods' own are
        relative to them.
        """
        factors = dict.fromkeys(gradients, 1.0)
        compared: Mapping[str, Any] = step.last_layer if self.needs == "last_layer" else gradients
        names = self.head_weights.balanced(gradients, step)
        if len(names) < 2:
            return factors
        gramian = gramian_of([compared[name] for name in names])
        moving = gramian.diagonal() > SHORTEST**2 * gramian.diagonal().max()
        if moving.sum() < 2:
            return factors
        names = [name for name, moves in zip(names, moving, strict=True) if moves]
        own = np.array([self.head_weights.of(name) for name in names])
        gramian = gramian[np.ix_(moving, moving)] / np.outer(own, own)
        found = self.solve(gramian / gramian.diagonal().mean(), own, step) / own
        return factors | {name: float(factor) for name, factor in zip(names, found, strict=True)}


def weighted_sum(gradients: Mapping[str, ArrayT], factors: Mapping[str, float]) -> ArrayT:
    """The weighted sum of gradients of one shape, in their own precision."""
    total, *others = [gradient * factors[name] for name, gradient in gradients.items()]
    for other in others:
        total += other
    return total
