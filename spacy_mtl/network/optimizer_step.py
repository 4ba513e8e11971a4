"""The optimizer's step for thinc layers. On a GPU a few kernels update all parameters."""

from collections.abc import Sequence
from typing import Any

from thinc.api import CupyOps, Model
from thinc.compat import has_torch_cuda_gpu, torch
from thinc.util import xp2torch

from ..protocols.arrays import ArrayT


def finish_layers(layers: Sequence[Model[Any, Any]], sgd: Any) -> None:
    """Update the layers' parameters with the optimizer, and set their gradients to zero."""
    together = has_torch_cuda_gpu and hasattr(sgd, "step_together")
    if not (together and all(isinstance(layer.ops, CupyOps) for layer in layers)):
        for layer in layers:
            layer.finish_update(sgd)
        return
    nodes = [node for layer in layers for node in layer.walk()]
    for node in nodes:
        for shim in node.shims:
            shim.finish_update(sgd)
    params: dict[Any, Any] = {
        (node.id, name): share_parameter(node.get_param(name), node.get_grad(name))
        for node in nodes
        for name in node.param_names
        if node.has_grad(name)
    }
    if params:
        sgd.step_together(params)
        torch._foreach_zero_([param.grad for param in params.values()])


def share_parameter(weights: ArrayT, gradient: ArrayT) -> Any:
    """Build a torch tensor and its gradient that share the memory of cupy arrays."""
    param = xp2torch(weights)
    param.grad = xp2torch(gradient)
    return param
