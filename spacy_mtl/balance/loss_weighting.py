"""Weightings that look at losses, scores or steps alone."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from thinc.api import Model

from ..protocols.weighting import NeedsT, Step
from .head_weights import HeadWeights


class LossWeighting(ABC):
    """A weighting of this kind: the user's weight of each loss times a factor of its own, 1 on average.

    Adversarial heads have no factor, and keep the user's weight. A loss that is alone in a batch has the factor 1.

    maker (str): The weighting's registered name.
    """

    maker: str
    needs_several = True
    model: Model[Any, Any] | None = None
    needs: NeedsT = "sum"

    def __init__(self, weights: Mapping[str, float] | None, option: str = "weights") -> None:
        self.head_weights = HeadWeights(self.maker, weights, option)

    def bind(self, heads: Sequence[str]) -> None:
        """Refuse weights that make no sense."""
        self.head_weights.check(heads)

    def weights(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The user's weights times the method's factors."""
        balanced = self.head_weights.balanced(losses, step)
        factors = self.factors({name: losses[name] for name in balanced}, step)
        return self.head_weights.times(factors if len(balanced) > 1 else {}, losses)

    @abstractmethod
    def factors(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The factor of each loss, at least 0. It is asked in every step, so that it can remember the losses.

        losses (Mapping[str, float]): Those of the heads that it may balance; it may be none or one.
        """
