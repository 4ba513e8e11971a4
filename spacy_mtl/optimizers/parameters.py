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
    found: dict[str, Parameter] = {}
    for pipe_name, pipe in trainable_pipes(nlp).items():
        seen: set[int] = set()
        heads = {key: head for key, head in getattr(pipe, "heads", {}).items() if isinstance(head, Head)}
        for key, head in heads.items():
            found.update(_walk(head.model, f"{pipe_name}/{key}", seen))
        found.update(_walk(pipe.model, pipe_name, seen))
    return found


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


def _walk(model: Model[Any, Any], prefix: str, seen: set[int]) -> Iterator[tuple[str, Parameter]]:
    """Yield the parameters, by name, of nodes that were not seen before."""
    for index, node in enumerate(model.walk()):
        if node.id in seen:
            continue
        seen.add(node.id)
        layer = f"{prefix}/{node.name}.{index}"
        for name in node.param_names:
            if node.has_param(name):
                gradient = node.get_grad(name) if node.has_grad(name) else None
                yield f"{layer}/{name}", Parameter((node.id, name), node.get_param(name), gradient)
        for number, shim in enumerate(node.shims):
            shim_prefix = f"{layer}/{number}/" if number else f"{layer}/"
            for parameter in _torch_parameters(shim):
                yield f"{shim_prefix}{parameter.key[1]}", parameter


def _torch_parameters(shim: Any) -> Iterator[Parameter]:
    module = getattr(shim, "_model", None)
    if module is not None and hasattr(module, "named_parameters"):
        for name, param in module.named_parameters():
            gradient = None if param.grad is None else torch2xp(param.grad)
            yield Parameter((shim.id, name), torch2xp(param.data), gradient)
