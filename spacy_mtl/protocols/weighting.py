"""What the component knows of a weighting."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from thinc.api import Model
from thinc.types import Floats2d


@runtime_checkable
class Weighting(Protocol):
    """How the heads' losses and gradients become one.

    model (Model | None): Learnable parameters, if there are any: the component trains and saves them.
    """

    model: Model[Any, Any] | None

    def bind(self, heads: Sequence[str]) -> None:
        """Called once with the names of all heads. Raise a ValueError for settings that name another."""

    def weights(self, losses: Mapping[str, float]) -> dict[str, float]:
        """The factor of each head's loss in this step. `losses` (nats) has the heads that found gold in the batch."""

    def merge(self, d_tokvecs: Mapping[str, Floats2d]) -> Floats2d:
        """One gradient for the encoder from the heads' weighted gradients at the shared vectors, (n_tokens, width)."""
