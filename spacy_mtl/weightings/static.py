"""Fixed loss weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from thinc.api import Model

from ..balance.head_weights import HeadWeights
from ..protocols.weighting import NeedsT, Step


def make_static_v1(weights: dict[str, float] | None = None) -> "Static":
    """Build the plain sum of the heads' losses and gradients, each with a fixed factor. A well-tuned plain sum is hard
    to beat (Kurin et al. 2022, Xin et al. 2022). A head that finds no gold in the batch has no loss and adds nothing.

    weights (dict[str, float] | None): Factor of each head's loss and gradients, by name of the head; 1.0 for heads that
        are not named. With 0.0 the loss is reported but trains nothing.
    """
    return Static(weights or {})


class Static:
    """The weighting. It has no parameters of its own.

    factors (dict[str, float]): Factor of each head's loss, by name of the head.
    """

    model: Model[Any, Any] | None = None
    needs: NeedsT = "sum"

    def __init__(self, factors: Mapping[str, float]) -> None:
        self.head_weights = HeadWeights("spacy_mtl.Static.v1", factors)
        self.factors = self.head_weights.factors

    def bind(self, heads: Sequence[str]) -> None:
        """Check the weights. Raises a ValueError if one names an unknown head or is negative or infinite, or all are 0.

        heads (Sequence[str]): Names of the heads.
        """
        self.head_weights.check(heads)

    def weights(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """Return the fixed factor of each head that has a loss in this step."""
        return self.head_weights.times({}, losses)
