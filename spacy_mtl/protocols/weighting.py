"""What the component knows of a weighting: how several losses are combined into one step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from thinc.api import Model
from thinc.types import Floats1d, Floats2d

# What a weighting needs: the weighted sum of the losses, each loss's gradient at the shared vectors, or at the
# parameters of the last shared layer too.
NeedsT = Literal["sum", "vectors", "last_layer"]


@dataclass
class Step:
    """What a weighting can know of a step.

    number (int): Number of earlier steps in which a head found gold. It continues if training is resumed.
    adversarial (frozenset[str]): Heads whose gradient at the shared vectors is reversed (Protocol `Adversarial`).
    corpus_sizes (Mapping[str, int]): Number of docs in each training corpus; empty if they were not counted.
    scores (Mapping[str, float | None]): Main score of each head at the last evaluation; empty before the first.
    count_units (Callable[[], dict[str, int]]): Counts, for each head with a loss, the annotated units (docs or tokens)
        of the batch. It reads the gold again, so call it only if needed.
    last_layer (Mapping[str, Floats1d]): For `needs = "last_layer"`, each weighted loss's gradient at the parameters of
        the last shared layer, flat, (n_params,). Filled when `merge` is called, unless the weighting is a
        `ComparesSometimes` that does not look at them in this step.
    """

    number: int
    adversarial: frozenset[str] = frozenset()
    corpus_sizes: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, float | None] = field(default_factory=dict)
    count_units: Callable[[], dict[str, int]] = dict
    last_layer: Mapping[str, Floats1d] = field(default_factory=dict)


@runtime_checkable
class Weighting(Protocol):
    """How the losses and gradients of the heads are combined.

    model (Model | None): Learnable parameters, if any. The component trains and saves them.
    needs (str): "sum" for a weighted sum: one backward pass for all losses. "vectors" or "last_layer" for a
        `MergesGradients`: the heads' networks are run backward once for each loss.
    """

    model: Model[Any, Any] | None
    needs: NeedsT

    def bind(self, heads: Sequence[str]) -> None:
        """Receive the names of all heads, once. Raise a ValueError if a setting names an unknown head."""

    def weights(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """Compute the factor of each loss in this step, at least 0. A head whose factor is 0 takes no part in the step.

        losses (Mapping[str, float]): Losses in nats of the heads that found gold in the batch.
        """


@runtime_checkable
class MergesGradients(Protocol):
    """A weighting that combines the gradients itself, instead of adding them up."""

    def merge(self, gradients: Mapping[str, Floats2d], step: Step) -> Floats2d:
        """Combine the gradients into one for the encoder, (n_tokens, width).

        gradients (Mapping[str, Floats2d]): Of each weighted loss, its gradient at the shared vectors: everything that
            flows back from the loss, also through the heads that its head is conditioned on.
        """


@runtime_checkable
class ComparesSometimes(Protocol):
    """A `MergesGradients` that looks at `Step.last_layer` in some steps only. The others don't pay for it."""

    def compares(self, heads: Iterable[str], step: Step) -> bool:
        """Whether `merge` will look at it, if these heads have a gradient."""


@runtime_checkable
class NeedsSeveralHeads(Protocol):
    """A weighting that may have nothing to do with a single head.

    needs_several (bool): Whether it balances heads against each other, so that one head alone is as with the plain sum.
    """

    needs_several: bool


@runtime_checkable
class ReportsFactors(Protocol):
    """A `MergesGradients` whose result is a weighted sum of the gradients that it was given.

    last_factors (Mapping[str, float]): The factors in the last merge, by head. The read-out of the component multiplies
        the weights by them.
    """

    last_factors: Mapping[str, float]


@runtime_checkable
class LearnsByHead(Protocol):
    """A weighting whose `model` has a layer for each head.

    layers (Mapping[str, Model]): The layers by head. They are saved by name, so that heads can be added or left out. A
        layer whose gradient is zero stays as it is: momentum and weight decay would move it.
    """

    layers: Mapping[str, Model[Any, Any]]


@runtime_checkable
class KeepsState(Protocol):
    """A weighting that keeps other values beside `model`, such as a history of losses."""

    def get_state(self) -> dict[str, Any]:
        """Get the values, in types that msgpack can write. Component and training state save them."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
