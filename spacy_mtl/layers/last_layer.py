"""Backprop through the last layer of an encoder alone.

Some weightings compare the gradients of the losses at the parameters of the last shared layer. An encoder that can
compute these without its whole backward pass has a `LastLayer` among its attributes: the encoders fill it, and
`network/` reads it.
"""

from collections.abc import Callable
from typing import Any

from thinc.types import Floats1d, Floats2d

# name of the attribute of the encoder's model
LAST_LAYER = "last_layer"


class LastLayer:
    """Holder for the backprop of an encoder's last layer. The encoder sets it in each forward pass in training, and
    clears it when its whole backward pass runs. It is not saved, and a copy or a pickle of it is empty.

    backprop (Callable | None): Function from the gradient of the token vectors (n_tokens, width) to the gradient of the
        last layer's parameters, flat, (n_params,). It does not add to the gradients stored in the model, and may be
        called several times.
    """

    def __init__(self) -> None:
        self.backprop: Callable[[Floats2d], Floats1d] | None = None

    def __deepcopy__(self, memo: Any) -> "LastLayer":
        return LastLayer()

    def __reduce__(self) -> tuple[Any, ...]:
        return LastLayer, ()
