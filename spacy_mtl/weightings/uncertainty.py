"""Weights that are learned as the tasks' uncertainty."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from thinc.api import Model

from ..balance.loss_weighting import LossWeighting
from ..protocols.weighting import Step

LOG_VARIANCE = "log_variance"


def make_uncertainty_v1(weights: dict[str, float] | None = None) -> "Uncertainty":
    """Build the weighting that learns how uncertain each task is and gives uncertain ones less weight (Kendall et al.
    2018, "Multi-Task Learning Using Uncertainty to Weigh Losses", CVPR).

    With L[k] the loss of head k, w[k] the user's weight, and s[k] a log variance that is learned and begins at 0, what
    is minimised is

        sum over heads of w[k] * (exp(-s[k]) * L[k] + s[k] / 2)

    so the factor of a loss is exp(-s[k]), which tends to 1 / (2 L[k]): it grows without bound as a loss goes to 0.
    The optimizer of the training moves s, at its learning rate; `spacy_mtl.Optimizer.v1` can give it one of its own, in
    a group with the pattern `log_variance`. In a batch with gold for one head alone s does not move, and the factor is
    1.

    weights (dict[str, float] | None): Factors of the heads' losses, by name. Heads that are not named have 1.0. With
        0.0 the loss is reported, and trains nothing.
    """
    return Uncertainty(weights)


class Uncertainty(LossWeighting):
    """The weighting. Each head's log variance is a layer, so that it is saved by name, and moves only if it has a
    gradient.
    """

    maker = "spacy_mtl.Uncertainty.v1"

    def __init__(self, weights: Mapping[str, float] | None) -> None:
        super().__init__(weights)
        self.layers: dict[str, Model[Any, Any]] = {}

    def bind(self, heads: Sequence[str]) -> None:
        """Refuse weights that make no sense, and build a parameter for each head."""
        super().bind(heads)
        self.layers = {name: _make_layer() for name in sorted(heads)}
        self.model = Model("uncertainty", _no_forward, layers=list(self.layers.values()))

    def factors(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The formula above. It adds the gradients of the log variances, too."""
        values = {name: float(self.layers[name].get_param(LOG_VARIANCE)[0]) for name in losses}
        factors = {name: float(np.exp(-value)) for name, value in values.items()}
        if len(losses) > 1:
            for name, loss in losses.items():
                slope = self.head_weights.of(name) * (0.5 - factors[name] * loss)
                layer = self.layers[name]
                layer.inc_grad(LOG_VARIANCE, layer.ops.asarray1f([slope]))
        return factors


def _make_layer() -> Model[Any, Any]:
    layer: Model[Any, Any] = Model("uncertainty", _no_forward, params={LOG_VARIANCE: None})
    layer.set_param(LOG_VARIANCE, layer.ops.alloc1f(1))
    return layer


def _no_forward(model: Model[Any, Any], X: Any, is_train: bool) -> Any:
    raise NotImplementedError("a weighting's parameters have no forward pass")
