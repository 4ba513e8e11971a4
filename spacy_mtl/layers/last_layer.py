"""Backprop through the last layer of an encoder alone.

Some weightings compare the gradients of the losses at the parameters of the last shared layer. An encoder that can
compute these without its whole backward pass has a `LastLayer` among its attributes: the encoders fill it, and
`network/` reads it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from thinc.types import Floats1d, Floats2d
from thinc.util import get_array_module

# name of the attribute of the encoder's model
LAST_LAYER = "last_layer"


class LastLayer:
    """Holder for the backprop of an encoder's last layer, from the forward pass of a training step to the whole
    backward pass. It is not saved, and a copy or a pickle of it is empty.

    backprop (Callable | None): Function from m gradients of the token vectors, (n_tokens, width) each, to those of the
        last layer's parameters, flat, (m, n_params). It does not add to the gradients stored in the model, and may be
        called several times. None outside of a training step.
    """

    def __init__(self) -> None:
        self.backprop: Callable[[Sequence[Floats2d]], Floats2d] | None = None
        self._known: tuple[Floats2d, Floats1d] | None = None

    def begin(self, backprop: Callable[[Sequence[Floats2d]], Floats2d]) -> None:
        """Hold the backprop of a forward pass that has just run. Called by the encoder."""
        self.backprop, self._known = backprop, None

    def expect(self, d_tokvecs: Floats2d, d_params: Floats1d) -> None:
        """Say which gradient of the token vectors the whole backward pass will probably begin with, and what is that
        of the last layer's parameters, which the encoder then does not compute again.

        d_tokvecs (Floats2d): Gradient of the token vectors, (n_tokens, width).
        d_params (Floats1d): Gradient of the last layer's parameters, in the order of `backprop`, (n_params,).
        """
        self._known = d_tokvecs.copy(), d_params

    def finish(self, d_tokvecs: Floats2d) -> Floats1d | None:
        """Forget all, since the whole backward pass runs now. Called by the encoder.

        d_tokvecs (Floats2d): What it begins with, (n_tokens, width).
        RETURNS (Floats1d | None): The gradient of the last layer's parameters, (n_params,), if the gradient is the one
            that was expected. It is another one if something else learns from the vectors, too.
        """
        known, self.backprop, self._known = self._known, None, None
        if known is None or not get_array_module(d_tokvecs).array_equal(known[0], d_tokvecs):
            return None
        return known[1]

    def __deepcopy__(self, memo: Any) -> "LastLayer":
        return LastLayer()

    def __reduce__(self) -> tuple[Any, ...]:
        return LastLayer, ()
