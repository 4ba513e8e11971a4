"""Gradients that are NaN or infinite: they are found before the optimizer sees them, and can be dropped."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from thinc.api import Model

from ..protocols.arrays import ArrayT


class NotFinite(ValueError):
    """A gradient is NaN or infinite. What has been accumulated until then has to be dropped."""


def check_gradient(gradient: ArrayT, owner: str) -> None:
    """Raise a NotFinite that names the owner, such as "head 'slots'", if the gradient is NaN or infinite anywhere."""
    _check([gradient], owner)


def check_layer(layer: Model[Any, Any], gradient: ArrayT, owner: str) -> None:
    """Check the gradient of a layer's input, and those of its parameters."""
    own = [node.get_grad(name) for node in layer.walk() for name in node.param_names if node.has_grad(name)]
    _check([gradient, *own], owner)


def drop_gradients(model: Model[Any, Any]) -> None:
    """Set all gradients of a model to zero. Its parameters stay as they are."""
    keep: Any = _keep
    model.finish_update(keep)


def _keep(key: tuple[int, str], weights: ArrayT, gradient: ArrayT) -> tuple[ArrayT, ArrayT]:
    """Take the place of an optimizer, and change no weights. The gradient is overwritten: NaN times 0 is NaN."""
    gradient.fill(0)
    return weights, gradient


def _check(gradients: Iterable[ArrayT], owner: str) -> None:
    """A sum is finite only if all that it adds up is; on a GPU, asking for one number costs one wait."""
    with np.errstate(invalid="ignore", over="ignore"):
        total = float(sum(gradient.sum() for gradient in gradients))
    if not math.isfinite(total):
        raise NotFinite(
            f"{owner}: its gradient is {total}, so this batch was not learned from: the weights are as before it, and "
            "all gradients since the optimizer's last step are dropped; lower the learning rate or the head's weight, "
            "or check the encoder's vectors"
        )
