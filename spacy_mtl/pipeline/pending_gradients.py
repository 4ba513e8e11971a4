"""What has received a gradient since the optimizer's last step, and that step itself."""

from collections.abc import Mapping, Set
from typing import Any

from thinc.api import Model, Optimizer

from ..layers.optimizer_step import finish_layers
from ..network.finite_gradients import drop_gradients
from ..network.shared_encoder import finish_encoder
from ..protocols.arrays import EncoderT
from ..protocols.head import Head
from .weighing import Weighing


class PendingGradients:
    """The parts of a component whose gradients wait for the optimizer. All others stay as they are: momentum and weight
    decay would move a part even if its gradient is zero.
    """

    def __init__(self) -> None:
        self._heads: set[str] = set()
        self._is_shared = False

    def __bool__(self) -> bool:
        """Whether anything would be moved."""
        return bool(self._heads)

    def add(self, heads: Set[str], *, is_shared: bool) -> None:
        """Note what has received a gradient.

        heads (Set[str]): The heads.
        is_shared (bool): Whether the encoder and the weighting have received one too.
        """
        self._heads |= heads
        self._is_shared |= is_shared

    def remove(self, heads: Set[str]) -> None:
        """Note that the gradients of these heads are dropped."""
        self._heads -= heads

    def clear(self) -> None:
        """Note that there is no gradient any more."""
        self._heads.clear()
        self._is_shared = False

    def apply(
        self, sgd: Optimizer, heads: Mapping[str, Head], encoder: EncoderT, weighing: Weighing, *, frozen: Set[str]
    ) -> None:
        """Let the optimizer move what has received a gradient.

        heads (Mapping[str, Head]): In the order in which they run.
        frozen (Set[str]): Heads that are no longer moved. Their gradients are dropped.
        """
        if not self._heads:
            return
        for key in self._heads & frozen:
            drop_gradients(heads[key].model)
        moving: list[Model[Any, Any]] = [head.model for key, head in heads.items() if key in self._heads - frozen]
        if self._is_shared:
            finish_encoder(encoder, sgd)
            moving += weighing.layers_to_move()
        finish_layers(moving, sgd)
        self.clear()
