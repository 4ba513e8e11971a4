"""The mean of the weights of pipelines that were trained from one config with several seeds.

After Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time". It is meant for models that share an initialization, such as fine-tuned transformers; models
that began from different random weights seldom have a useful mean.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from spacy.language import Language
from thinc.api import Model
from thinc.util import get_array_module

from ..protocols.head_calibration import ATTR as CALIBRATION
from ..protocols.merged_records import Merges

PLAIN = (str, bytes, int, float, bool, list, tuple, dict, np.ndarray, type(None))
# Attributes of layers that only a training reads.
OF_TRAINING = frozenset({"dropout_rate", "step"})
# Attributes that describe the weights, of which the mean has others.
OF_WEIGHTS = frozenset({CALIBRATION})
NodeT = Model[Any, Any]


def check_same(first: Language, other: Language, names: tuple[str, str]) -> None:
    """Raise a ValueError if two pipelines have no common mean, with the first difference.

    names (tuple[str, str]): The names of both in messages.
    """
    for section in ("nlp", "components"):
        mine, theirs = (nlp.config.interpolate()[section] for nlp in (first, other))
        for path, one, two in differences(mine, theirs, section):
            raise ValueError(
                f"{names[0]} and {names[1]} have other configs: {path} is {one!r} in the first and {two!r} in the "
                "second; only trainings of one config can be averaged"
            )
    for name, pipe in first.pipeline:
        twin: Any = other.get_pipe(name)
        mine, theirs = getattr(pipe, "label_data", None), getattr(twin, "label_data", None)
        for path, one, two in differences({name: mine}, {name: theirs}, "labels"):
            raise ValueError(
                f"{names[0]} and {names[1]} have other labels, or in another order: {path} is {one!r} in the first and "
                f"{two!r} in the second"
            )
        if isinstance(getattr(pipe, "model", None), Model):
            check_shapes(name, pipe.model, twin.model, names)  # type: ignore[attr-defined]
    one, two = first.vocab.vectors.data, other.vocab.vectors.data
    if one.shape != two.shape or not bool((one == two).all()):
        raise ValueError(f"{names[0]} and {names[1]} have other static vectors; use the same for all")


def check_shapes(name: str, first: NodeT, other: NodeT, names: tuple[str, str]) -> None:
    """Raise a ValueError if two networks differ in more than their weights."""
    for mine, theirs in zip_longest(first.walk(), other.walk()):
        if mine is None or theirs is None or mine.name != theirs.name:
            found = [None if node is None else node.name for node in (mine, theirs)]
            raise ValueError(
                f"{names[0]} and {names[1]}: component {name!r} has the layers {found}; they must be the same"
            )
        for param in {*mine.param_names, *theirs.param_names}:
            shapes = [node.get_param(param).shape if node.has_param(param) else None for node in (mine, theirs)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"{names[0]} and {names[1]}: component {name!r}, layer {mine.name!r}: {param} has the shapes "
                    f"{shapes[0]} and {shapes[1]}; only networks of one shape can be averaged"
                )
        for key, one, two in differences(plain_attrs(mine), plain_attrs(theirs), "attrs"):
            raise ValueError(
                f"{names[0]} and {names[1]}: component {name!r}, layer {mine.name!r}: {key} is {one!r} in the first "
                f"and {two!r} in the second"
            )


def plain_attrs(node: NodeT) -> dict[str, Any]:
    """The attributes that must be the same, without those that only a training reads or that describe the weights."""
    left_out = OF_TRAINING | OF_WEIGHTS
    return {key: value for key, value in node.attrs.items() if key not in left_out and isinstance(value, PLAIN)}


def differences(one: Any, two: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the settings in which two sections differ, with their paths."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in dict.fromkeys([*one, *two]):
            yield from differences(one.get(key), two.get(key), f"{path}.{key}")
    elif isinstance(one, np.ndarray) or isinstance(two, np.ndarray):
        if not np.array_equal(one, two):
            yield path, one, two
    elif one != two:
        yield path, one, two


def write_mean(target: Language, pipelines: Sequence[Language]) -> None:
    """Give a pipeline the mean of the weights of others, which `check_same` has passed. The mean is computed in double
    precision, so that the mean of equal weights is these weights exactly.

    target (Language): A pipeline of the same config that has not predicted anything yet.
    """
    for name, pipe in target.pipeline:
        network = getattr(pipe, "model", None)
        if isinstance(network, Model):
            others = [nlp.get_pipe(name).model for nlp in pipelines]  # type: ignore[attr-defined]
            for node, *nodes in zip(network.walk(), *(other.walk() for other in others), strict=True):
                average_node(node, nodes)


def average_node(target: NodeT, nodes: Sequence[NodeT]) -> None:
    """Set the weights of a layer to the mean of those of others."""
    for param in target.param_names:
        if target.has_param(param):
            target.set_param(param, mean_of([node.get_param(param) for node in nodes]))
    for key, value in list(target.attrs.items()):
        if key in OF_WEIGHTS:
            del target.attrs[key]
        if isinstance(value, Merges):
            target.attrs[key] = value.merged([node.attrs[key] for node in nodes])
    for shim, *others in zip(target.shims, *(node.shims for node in nodes), strict=True):
        network = shim._model
        if hasattr(network, "state_dict"):
            states = [other._model.state_dict() for other in others]
            network.load_state_dict({key: mean_tensor([state[key] for state in states]) for key in states[0]})


def mean_of(arrays: Sequence[Any]) -> Any:
    """The mean of arrays in the precision of the first."""
    xp = get_array_module(arrays[0])
    total = xp.zeros(arrays[0].shape, dtype="d")
    for array in arrays:
        total += array
    return (total / len(arrays)).astype(arrays[0].dtype)


def mean_tensor(tensors: Sequence[Any]) -> Any:
    """The mean of tensors of torch; integers, such as positions, are those of the first."""
    first = tensors[0]
    if not first.is_floating_point():
        return first
    return (sum(tensor.double() for tensor in tensors) / len(tensors)).to(first.dtype)
