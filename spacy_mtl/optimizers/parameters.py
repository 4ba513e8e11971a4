"""Names of the parameters of a pipeline that are the same in every process, unlike the ids of thinc's nodes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spacy.language import Language
from thinc.api import Model
from thinc.optimizers import KeyT
from thinc.util import torch2xp

from ..protocols.arrays import ArrayT
from ..protocols.head import Head
from ..protocols.resumable import Resumable


@dataclass
class Parameter:
    """A parameter of a pipeline.

    key (tuple[int, str]): Its key in thinc's optimizers: the id of the node or shim, and its own name there.
    weights (ArrayT): Its values, which must not be changed.
    gradient (ArrayT | None): The gradient that the next step will use, if there is one.
    """

    key: KeyT
    weights: ArrayT
    gradient: ArrayT | None


def trainable_pipes(nlp: Language) -> dict[str, Any]:
    """Return the components that have a network, by name."""
    return {name: pipe for name, pipe in nlp.pipeline if isinstance(getattr(pipe, "model", None), Model)}


def find_parameters(nlp: Language) -> dict[str, Parameter]:
    """Find all parameters of a pipeline, by name.

    A name consists of the component, the head if the parameter belongs to one, the layer with its index in the network,
    and the parameter's own name, such as "tok2vec/maxout.5/W" or "multitask/slots/linear.3/b".
    """
    return {
        f"{layer}/{name}": parameter for layer, node in named_layers(nlp) for name, parameter in _layer_parameters(node)
    }


def parameter_names(nlp: Language) -> set[str]:
    """Return the names that `find_parameters` will find, also in networks whose sizes are not set yet."""
    return {f"{layer}/{name}" for layer, node in named_layers(nlp) for name in _own_names(node)}


def named_layers(nlp: Language) -> Iterator[tuple[str, Model[Any, Any]]]:
    """Yield each layer of a pipeline once, with its name. A layer that a head owns is named after the head."""
    for pipe_name, pipe in trainable_pipes(nlp).items():
        networks = {
            f"{pipe_name}/{key}": head.model
            for key, head in getattr(pipe, "heads", {}).items()
            if isinstance(head, Head)
        }
        seen: set[int] = set()
        for prefix, network in (networks | {pipe_name: pipe.model}).items():
            for index, node in enumerate(network.walk()):
                if node.id not in seen:
                    seen.add(node.id)
                    yield f"{prefix}/{node.name}.{index}", node


def find_resumables(nlp: Language) -> dict[str, Resumable]:
    """Find what is kept only for training: attributes of layers, by component, layer with its index, and own name, and
    the progress of a component's heads.
    """
    pipes = trainable_pipes(nlp)
    progress = {f"{name}/progress": getattr(pipe, "progress", None) for name, pipe in pipes.items()}
    found = {name: value for name, value in progress.items() if isinstance(value, Resumable)}
    return found | {
        f"{pipe_name}/{node.name}.{index}/{name}": value
        for pipe_name, pipe in pipes.items()
        for index, node in enumerate(pipe.model.walk())
        for name, value in node.attrs.items()
        if isinstance(value, Resumable)
    }


def _layer_parameters(node: Model[Any, Any]) -> Iterator[tuple[str, Parameter]]:
    """Yield the parameters of a layer that are set, by their names in it."""
    for name in node.param_names:
        if node.has_param(name):
            grad = node.get_grad(name) if node.has_grad(name) else None
            yield name, Parameter((node.id, name), node.get_param(name), grad)
    for number, shim in enumerate(node.shims):
        for name, param in _torch_parameters(shim):
            gradient = None if param.grad is None else torch2xp(param.grad)
            yield _in_shim(number, name), Parameter((shim.id, name), torch2xp(param.data), gradient)


def _own_names(node: Model[Any, Any]) -> set[str]:
    in_shims = {_in_shim(number, name) for number, shim in enumerate(node.shims) for name, _ in _torch_parameters(shim)}
    return set(node.param_names) | in_shims


def _in_shim(number: int, name: str) -> str:
    """The name in its layer of a parameter of the shim with this number: the first shim's have no number."""
    return f"{number}/{name}" if number else name


def _torch_parameters(shim: Any) -> Iterator[tuple[str, Any]]:
    module: Any = getattr(shim, "_model", None)
    return module.named_parameters() if hasattr(module, "named_parameters") else iter(())
