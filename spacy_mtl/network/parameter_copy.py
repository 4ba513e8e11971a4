"""Copies of a network's parameters, to go back to them later in the same training or in a resumed one."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from numpy.typing import NDArray
from thinc.api import Model
from thinc.backends import get_array_ops
from thinc.optimizers import KeyT
from thinc.util import torch2xp

from ..protocols.arrays import ArrayT

# The parameters in main memory, under names that are the same in every process: "2/W".
CopyT = dict[str, NDArray[Any]]


def copy_parameters(model: Model[Any, Any]) -> CopyT:
    """Copy all parameters, torch's included, as they are now: within `use_params` these are the averages."""
    return {place: get_array_ops(array).to_numpy(array).copy() for place, _, array in named_arrays(model)}


def restore_parameters(model: Model[Any, Any], copied: Mapping[str, NDArray[Any]]) -> None:
    """Write the copied values to the parameters, in place."""
    for place, _, array in named_arrays(model):
        array[...] = get_array_ops(array).asarray(copied[place])


def restart_averages(model: Model[Any, Any], averages: MutableMapping[KeyT, ArrayT] | None) -> None:
    """Set an optimizer's averages of these parameters to the present values, since it evaluates and saves the averages
    in their place.
    """
    for _, key, array in named_arrays(model):
        if averages and key in averages:
            averages[key][...] = array


def named_arrays(model: Model[Any, Any]) -> Iterator[tuple[str, KeyT, ArrayT]]:
    """Yield all parameters, torch's included: the place in the network, the key in thinc's optimizers, the values."""
    for index, node in enumerate(model.walk()):
        for name in node.param_names:
            if node.has_param(name):
                yield f"{index}/{name}", (node.id, name), node.get_param(name)
        for number, shim in enumerate(node.shims):
            module: Any = getattr(shim, "_model", None)
            if hasattr(module, "named_parameters"):
                for name, param in module.named_parameters():
                    yield f"{index}/{number}/{name}", (shim.id, name), torch2xp(param.data)
