"""The state of an optimizer in a file: moments and averages under names that are the same in every process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from thinc.backends import get_array_ops

from ..optimizers.grouped import GroupedAdam
from ..optimizers.parameters import Parameter, find_parameters


def save_state(optimizer: GroupedAdam, nlp: Language, path: str | Path) -> None:
    """Write the state of the optimizer to a file: the number of steps, and for each parameter its number of updates,
    its moments and its average.

    Raises a ValueError if the optimizer trains another pipeline, or if there are gradients that no step has used, since
    these would be lost. spaCy's `nlp.update(sgd=...)` leaves the gradients of a pipe with listeners to the next call.
    `nlp.update(sgd=False)` followed by `finish_update` of each component leaves none.

    optimizer (GroupedAdam): The optimizer.
    nlp (Language): The pipeline that it trains.
    path (str | Path): The file.
    """
    optimizer.find_grown()
    parameters = find_parameters(nlp)
    names = {parameter.key: name for name, parameter in parameters.items()}
    unknown = [key for key in optimizer.nr_update if key not in names]
    if unknown:
        raise ValueError(
            f"Optimizer: it has updated {len(unknown)} parameters that the pipeline {nlp.pipe_names} does not have, "
            f"such as {unknown[0][1]!r}; save its state with the pipeline that it trains"
        )
    check_gradients(parameters)
    entries = {names[key]: _write(optimizer, parameters[names[key]]) for key in optimizer.nr_update}
    srsly.write_msgpack(Path(path), {"step": optimizer.step, "parameters": entries})


def load_state(optimizer: GroupedAdam, nlp: Language, path: str | Path) -> None:
    """Load the result of `save_state` into a new optimizer with the same settings, and move its schedules to that step.

    Raises a ValueError if the file cannot be read, or does not fit the pipeline or the optimizer.
    """
    try:
        state = srsly.read_msgpack(Path(path))
        step, entries = state["step"], state["parameters"]
    except Exception as error:
        raise ValueError(f"Optimizer: can't load the state in {path}: {error}; save it again") from error
    if optimizer.step or optimizer.nr_update:
        raise ValueError(
            f"Optimizer: it has taken {optimizer.step} steps already; load the state in {path} into a new optimizer"
        )
    parameters = find_parameters(nlp)
    check_state(entries, parameters, path, with_averages=optimizer.averages is not None)
    for name, entry in entries.items():
        _read(optimizer, parameters[name], entry)
    optimizer.skip(step)


def check_gradients(parameters: Mapping[str, Parameter]) -> None:
    """Raise a ValueError if there is a gradient that no step has used."""
    for name, parameter in parameters.items():
        if parameter.gradient is not None and parameter.gradient.any():
            raise ValueError(
                f"Optimizer: the gradient of parameter {name!r} was not used yet and would be lost; call finish_update "
                "of all components before the state is saved, as spacy train does. nlp.update(sgd=optimizer) leaves "
                "the gradient of a component with listeners to the next call: use nlp.update(sgd=False)"
            )


def check_state(
    entries: Mapping[str, Mapping[str, Any]],
    parameters: Mapping[str, Parameter],
    path: str | Path,
    *,
    with_averages: bool,
) -> None:
    """Raise a ValueError if the saved state does not fit the parameters of the pipeline.

    entries (Mapping): The saved state of each parameter, by name.
    parameters (Mapping[str, Parameter]): The parameters of the pipeline, by name.
    path (str | Path): The file, for messages.
    with_averages (bool): Whether the optimizer keeps averages.
    """
    for name, entry in entries.items():
        if name not in parameters:
            raise ValueError(
                f"Optimizer: the state in {path} has a parameter {name!r}, which the pipeline lacks; resume with the "
                "config that it was saved with"
            )
        size = parameters[name].weights.size
        if "mom1" in entry and entry["mom1"].size != size:
            raise ValueError(
                f"Optimizer: parameter {name!r} has {size} values, but {entry['mom1'].size} in the state in {path}; "
                "resume with the config and the labels that it was saved with"
            )
        if with_averages != ("average" in entry):
            raise ValueError(
                f"Optimizer: use_averages is {with_averages}, but was {not with_averages} for the state in {path}; "
                "resume with the config that it was saved with"
            )


def _write(optimizer: GroupedAdam, parameter: Parameter) -> dict[str, Any]:
    ops, key = get_array_ops(parameter.weights), parameter.key
    entry: dict[str, Any] = {"n_updates": optimizer.nr_update[key]}
    for name, arrays in (("mom1", optimizer.mom1), ("mom2", optimizer.mom2), ("average", optimizer.averages or {})):
        if key in arrays:
            entry[name] = ops.to_numpy(arrays[key])
    return entry


def _read(optimizer: GroupedAdam, parameter: Parameter, entry: Mapping[str, Any]) -> None:
    ops, key = get_array_ops(parameter.weights), parameter.key
    optimizer.nr_update[key] = entry["n_updates"]
    for name, arrays in (("mom1", optimizer.mom1), ("mom2", optimizer.mom2), ("average", optimizer.averages)):
        if name in entry and arrays is not None:
            arrays[key] = ops.asarray_f(entry[name].copy())
