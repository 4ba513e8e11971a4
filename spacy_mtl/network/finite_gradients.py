"""Find gradients that are NaN or infinite before the optimizer sees them, and drop them."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from thinc.api import Model

from ..protocols.arrays import ArrayT

FIX = (
    "lower the learning rate or the head's weight, or check the encoder's vectors; "
    'with nan_gradient = "skip" the other heads go on without this one'
)


class NotFinite(ValueError):
    """A loss or a gradient is NaN or infinite.

    found (str): Whose it is, and what: "head 'slots': its gradient is nan".
    """

    def __init__(self, found: str, consequence: str, fix: str) -> None:
        super().__init__(f"{found}, so this batch was not learned from{consequence}; {fix}")
        self.found = found


def check_gradient(gradient: ArrayT, owner: str) -> None:
    """Raise a NotFinite that names the owner, such as "head 'slots'", if the gradient is NaN or infinite anywhere."""
    _check([gradient], owner)


def check_loss(loss: float, owner: str) -> None:
    """Raise a NotFinite that names the owner if the loss is NaN or infinite."""
    if not math.isfinite(loss):
        raise NotFinite(f"{owner}: its loss is {loss}", " and the weights are as before it", FIX)


def check_layer(layer: Model[Any, Any], gradient: ArrayT, owner: str) -> None:
    """Check the gradient of a layer's input, and those of its parameters."""
    own = [node.get_grad(name) for node in layer.walk() for name in node.param_names if node.has_grad(name)]
    _check([gradient, *own], owner)


def drop_gradients(model: Model[Any, Any]) -> None:
    """Set all gradients of a model to zero. Its parameters stay as they are."""
    keep: Any = _keep
    model.finish_update(keep)


def _keep(key: tuple[int, str], weights: ArrayT, gradient: ArrayT) -> tuple[ArrayT, ArrayT]:
    """Stand in for an optimizer without changing any weight. The gradient is overwritten, since NaN times 0 is NaN."""
    gradient.fill(0)
    return weights, gradient


def _check(gradients: Iterable[ArrayT], owner: str) -> None:
    """Check that all numbers are finite, by their sum: on a GPU that takes a single transfer."""
    with np.errstate(invalid="ignore", over="ignore"):
        total = float(sum(gradient.sum() for gradient in gradients))
    if not math.isfinite(total):
        raise NotFinite(
            f"{owner}: its gradient is {total}",
            ": the weights are as before it, and all gradients since the optimizer's last step are dropped",
            FIX,
        )
