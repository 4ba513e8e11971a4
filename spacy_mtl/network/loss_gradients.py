"""The gradient of each loss at the shared vectors, measured beside a training that it does not change."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from thinc.api import Model
from thinc.types import Floats2d

from ..protocols.arrays import ArrayT
from .run_heads import AllScoresT, HeadsRun


def measure_each(run: HeadsRun, d_scores: AllScoresT) -> dict[str, Floats2d]:
    """Backpropagate each loss on its own, and leave all stored gradients as they are.

    run (HeadsRun): A forward pass, whose losses were backpropagated already.
    d_scores (AllScoresT): By head name, the gradient of the head's own loss.
    RAISES NotFinite: A gradient is NaN or infinite.
    RETURNS (dict[str, Floats2d]): By head name, (n_tokens, width). Empty if a network is a torch module: torch frees
        what it needs for a second backward pass.
    """
    layers: list[Model[Any, Any]] = [*run.layers.values(), *([] if run.sharing is None else [run.sharing])]
    if any(node.shims for layer in layers for node in layer.walk()):
        return {}
    with kept_gradients(layers):
        return replace(run, skip_broken=False).backprop_each(d_scores)


@contextmanager
def kept_gradients(layers: Sequence[Model[Any, Any]]) -> Iterator[None]:
    """Restore the stored gradients when the block is left."""
    params = [(node, name) for layer in layers for node in layer.walk() for name in node.param_names]
    kept = [(node, name, node.get_grad(name).copy()) for node, name in params if node.has_grad(name)]
    try:
        yield
    finally:
        for node, name, gradient in kept:
            stored: ArrayT = node.get_grad(name)
            stored[...] = gradient
