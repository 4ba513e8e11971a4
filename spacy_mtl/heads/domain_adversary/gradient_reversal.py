"""Gradient reversal: the layers after it learn a task, and the layers before it learn to make that task harder."""

import math
from collections.abc import Callable

from thinc.api import Model
from thinc.types import Ragged

ReversalT = Model[Ragged, Ragged]


def gradient_reversal(total_steps: int, gamma: float, max_lambda: float) -> ReversalT:
    """Build the layer: the identity, with a backprop that multiplies the gradient by -lambda (Ganin et al. 2016,
    "Domain-Adversarial Training of Neural Networks", JMLR 17). Ragged (n_tokens, width) -> the same.

    `attrs["step"]` counts the forward passes that were run backward and is saved with the weights. See `current_lambda`
    for the schedule.

    total_steps (int): Number of steps over which lambda rises.
    gamma (float): Steepness of the rise.
    max_lambda (float): Upper limit of lambda.
    """
    attrs = {"step": 0, "total_steps": total_steps, "gamma": gamma, "max_lambda": max_lambda}
    return Model("gradient_reversal", forward, attrs=attrs)


def forward(model: ReversalT, X: Ragged, is_train: bool) -> tuple[Ragged, Callable[[Ragged], Ragged]]:
    """RETURNS: X, and backprop: dY -> -lambda * dY."""
    factors: list[float] = []

    def backprop(dY: Ragged) -> Ragged:
        # Measuring gradients runs the same step backward again, which must neither count nor see another lambda.
        if not factors:
            factors.append(-current_lambda(model))
            model.attrs["step"] += 1
        return Ragged(dY.dataXd * factors[0], dY.lengths)

    return X, backprop


def current_lambda(model: ReversalT) -> float:
    """Return max_lambda * (2 / (1 + exp(-gamma * p)) - 1), where p is the share of `total_steps` done, at most 1."""
    progress = min(model.attrs["step"] / model.attrs["total_steps"], 1.0)
    return float(model.attrs["max_lambda"] * (2.0 / (1.0 + math.exp(-model.attrs["gamma"] * progress)) - 1.0))
