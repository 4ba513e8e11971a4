"""The optimizer's step for thinc layers: one call for all parameters instead of one for each."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from thinc.api import CupyOps, Model
from thinc.compat import has_torch, torch
from thinc.util import xp2torch

from ..protocols.arrays import ArrayT, is_plain

InT = TypeVar("InT")
OutT = TypeVar("OutT")


class MovedTogether(Model[InT, OutT]):
    """A network whose `finish_update` moves all parameters in one call of the optimizer. A copy is a plain thinc model,
    which takes the same steps one parameter at a time.
    """

    __slots__ = ()

    def finish_update(self, optimizer: Any) -> None:
        """Update all parameters with the optimizer, and set their gradients to zero."""
        finish_layers([self], optimizer)


def move_together(model: Model[InT, OutT]) -> MovedTogether[InT, OutT]:
    """Return the same network with a root that moves its parameters together."""
    moved: MovedTogether[InT, OutT] = MovedTogether(
        model.name,
        model._func,
        init=model.init,
        layers=model.layers,
        dims={name: model.maybe_get_dim(name) for name in model.dim_names},
        refs={name: model.maybe_get_ref(name) for name in model.ref_names},
        attrs=dict(model.attrs),
    )
    return moved


def finish_layers(layers: Sequence[Model[Any, Any]], sgd: Any) -> None:
    """Update the layers' parameters with the optimizer, and set their gradients to zero.

    layers (Sequence[Model]): Networks, all on one device.
    sgd (Optimizer): `spacy_mtl.Adam.v1` takes all parameters at once; any other one is called for each.
    """
    together = has_torch and hasattr(sgd, "step_together")
    # A node that two of the networks share takes one step.
    nodes = {node.id: node for layer in layers for node in layer.walk()}.values()
    for node in nodes:
        for shim in node.shims:
            shim.finish_update(sgd)
    params: dict[Any, Any] = {}
    for node in nodes:
        for name in node.param_names:
            if not node.has_grad(name):
                continue
            weights, gradient = node.get_param(name), node.get_grad(name)
            if together and can_share(node, weights, gradient):
                params[node.id, name] = share_parameter(weights, gradient)
            else:
                node.set_param(name, sgd((node.id, name), weights, gradient)[0])
    if params:
        sgd.step_together(params)
        torch._foreach_zero_([param.grad for param in params.values()])


def can_share(node: Model[Any, Any], weights: ArrayT, gradient: ArrayT) -> bool:
    """Whether torch can update the arrays of a parameter in place."""
    if isinstance(node.ops, CupyOps):
        return True
    return weights.size > 0 and is_plain(weights) and is_plain(gradient)


def share_parameter(weights: ArrayT, gradient: ArrayT) -> Any:
    """Build a torch tensor and its gradient that share the memory of arrays of numpy or cupy."""
    share = torch.from_numpy if isinstance(weights, np.ndarray) else xp2torch
    param = share(weights)
    param.grad = share(gradient)
    return param
