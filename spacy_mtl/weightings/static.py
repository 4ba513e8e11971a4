"""Fixed loss weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from thinc.api import Model

from ..balance.head_weights import HeadWeights
from ..protocols.weighting import NeedsT, Step


def make_static_v1(weights: dict[str, float] | None = None) -> "Static":
    """Build the plain sum of the heads' losses and gradients, each with a fixed factor. A well-tuned plain sum is hard
    to beat (Kurin et al. 2022, Xin et al. 2022).

    weights (dict[str, float] | None): Factors of the heads' losses and gradients, by name. Heads that are not named
        have 1.0. With 0.0 the loss is reported, and trains nothing.
    """
    return Static(weights or {})


class Static:
    """The weighting: it has nothing to learn."""

    model: Model[Any, Any] | None = None
    needs: NeedsT = "sum"

    def __init__(self, factors: Mapping[str, float]) -> None:
        self.head_weights = HeadWeights("spacy_mtl.Static.v1", factors)
        self.factors = self.head_weights.factors

    def bind(self, heads: Sequence[str]) -> None:
        """Refuse weights of heads that don't exist, weights that are negative or infinite, and only zeros."""
        self.head_weights.check(heads)

    def weights(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The fixed factor of each head."""
        return self.head_weights.times({}, losses)
