"""The way from the gradient of an encoder's vectors to the gradients of its last layer's parameters.

Some weightings compare the losses' gradients at the parameters of the last shared layer. An encoder that can compute
these apart from its whole backward pass has a `LastLayer` among its attributes.
"""

from collections.abc import Callable
from typing import Any

from thinc.types import Floats1d, Floats2d

# attribute of the encoder's model
LAST_LAYER = "last_layer"


class LastLayer:
    """What an encoder leaves after a forward pass in training, if it is asked to. It is not saved, and a
    copy or a pickle of it is empty.

    wanted (bool): Whether to leave it.
    backprop (Callable | None): The gradient of the vectors (n_tokens, width) -> the gradients of the last layer's
        parameters, flat, (n_params,). It adds nothing to the parameters' own gradients, and may be called again.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.backprop: Callable[[Floats2d], Floats1d] | None = None

    def __deepcopy__(self, memo: Any) -> "LastLayer":
        return LastLayer()

    def __reduce__(self) -> tuple[Any, ...]:
        return LastLayer, ()
