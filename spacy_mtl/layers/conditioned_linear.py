"""A linear layer on token vectors and on the distributions that other heads predict, for heads with `condition_on`."""

from collections.abc import Callable, Sequence
from typing import Any

from thinc.api import Model
from thinc.types import Floats2d

from ..protocols.arrays import ArrayT
from .linear import grown, linear

# arrays of the same tokens: vectors, then one distribution for each condition
InputT = Sequence[ArrayT]
ConditionedT = Model[InputT, Floats2d]


def conditioned_linear(n_conditions: int, n_out: int | None = None) -> ConditionedT:
    """Build the layer: the sum of one linear layer for each array. A condition's layer grows with its labels.

    n_conditions (int): Number of heads whose distributions it sees.
    n_out (int | None): Output width; None if it is set before initialisation.
    """
    layers = [linear(n_out), *(linear(n_out, bias=False) for _ in range(n_conditions))]
    return Model("conditioned_linear", forward, init=init, layers=layers, dims={"nO": n_out})


def forward(
    model: ConditionedT, arrays: InputT, is_train: bool
) -> tuple[Floats2d, Callable[[Floats2d], list[Floats2d]]]:
    """RETURNS: Y (n_tokens, nO) and backprop: dY -> the gradient of each array."""
    for index, array in enumerate(arrays):
        layer = model.layers[index]
        if layer.has_param("W") and layer.get_dim("nI") < array.shape[1]:
            model.replace_node(layer, grown(layer, n_in=array.shape[1]))
    outputs = [layer(array, is_train) for layer, array in zip(model.layers, arrays, strict=True)]
    Y: ArrayT = outputs[0][0]
    for output, _ in outputs[1:]:
        Y = Y + output
    return Y, lambda dY: [backprop(dY) for _, backprop in outputs]


def init(model: ConditionedT, X: InputT | None = None, Y: Any = None) -> None:
    """Set the input widths from the sample, and draw the weights."""
    assert X is not None
    for layer, array in zip(model.layers, X, strict=True):
        layer.set_dim("nO", model.get_dim("nO"), force=True)
        layer.initialize(array)


def grow_conditioned(model: ConditionedT, n_out: int) -> None:
    """Add outputs, if the layer has been initialised already. The new weights are 0."""
    if model.layers[0].has_param("W"):
        model.set_dim("nO", n_out, force=True)
        for layer in list(model.layers):
            model.replace_node(layer, grown(layer, n_out=n_out))
