"""The callback that saves the state of a training at regular intervals, so that the training can be resumed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language

from ..optimizers.grouped import BY_STATE, GroupedAdam
from ..optimizers.parameters import find_resumables, trainable_pipes
from .random_numbers import read_generators, set_generators
from .state import load_state, save_state
from .state_folder import add_state, newest_state

OPTIMIZER = "optimizer.msgpack"
TRAINING = "training.msgpack"
BeforeUpdateT = Callable[[Language, dict[str, Any]], None]


def make_training_state_v1(path: str, every: int = 1000, resume: bool = False) -> BeforeUpdateT:
    """Build the callback that saves the state of a training and resumes from it, for `[training.before_update]`.

    `[training.optimizer]` must be `spacy_mtl.Optimizer.v1` with the same folder as its `state`. The callback also tells
    the optimizer to which component and head each parameter belongs, so that the patterns of groups can match them.

    The state consists of the weights (a saved pipeline may have averages in their place), the optimizer's moments and
    averages, the number of steps, which sets the schedules, the counts that layers keep, and the state of the random
    number generators. The batcher `spacy_mtl.resume_batches.v1` continues at the same position in the data. spaCy's own
    step count and best score are not saved, so `max_steps` and `patience` start again.

    path (str): Folder of the state. It keeps the newest state, and contains a complete one at every moment after the
        first save.
    every (int): Number of steps between two saves; 0 to save nothing.
    resume (bool): Resume from the newest state in the folder.
    """
    if every < 0:
        raise ValueError(f"TrainingState: every is {every}, expected a number of steps, or 0 to save nothing")
    folder = Path(path)
    bound: dict[str, GroupedAdam] = {}

    def before_update(nlp: Language, info: dict[str, Any]) -> None:
        if info["step"] == 0:
            bound["optimizer"] = find_optimizer(folder)
            begin(bound["optimizer"], nlp, folder, resume=resume)
        elif every and bound["optimizer"].step % every == 0:
            save_training(bound["optimizer"], nlp, folder)

    return before_update


def find_optimizer(folder: Path) -> GroupedAdam:
    """Find the optimizer whose `state` is this folder. Raises a ValueError if there is none."""
    optimizer = BY_STATE.get(folder.resolve())
    if optimizer is None:
        raise ValueError(
            f"TrainingState: there is no optimizer with state = {str(folder)!r}; [training.optimizer] must be "
            "spacy_mtl.Optimizer.v1, with state the same as path in [training.before_update]"
        )
    return optimizer


def begin(optimizer: GroupedAdam, nlp: Language, folder: Path, *, resume: bool) -> None:
    """Bind the optimizer to the pipeline; if the training is resumed, load the saved state into both.

    Raises a ValueError if the folder is a file, or if there is no state to resume from.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"TrainingState: path {folder} is a file, expected a folder; give another path")
    if resume:
        load_training(optimizer, nlp, folder)
    else:
        optimizer.bind(nlp)


def save_training(optimizer: GroupedAdam, nlp: Language, folder: Path) -> None:
    """Save the weights, the optimizer and the rest of the state. The old state stays until the new one is complete."""

    def write(new: Path) -> None:
        for name, pipe in trainable_pipes(nlp).items():
            pipe.to_disk(new / name, exclude=["vocab"])
        save_state(optimizer, nlp, new / OPTIMIZER)
        layers = {name: value.training_state() for name, value in find_resumables(nlp).items()}
        state = {"step": optimizer.step, "layers": layers, "random": read_generators()}
        srsly.write_msgpack(new / TRAINING, state)

    add_state(folder, write)


def load_training(optimizer: GroupedAdam, nlp: Language, folder: Path) -> None:
    """Load the result of `save_training` into the pipeline and into a new optimizer, which is bound to it."""
    state = find_state(folder)
    for name, pipe in trainable_pipes(nlp).items():
        if not (state / name).is_dir():
            raise ValueError(f"TrainingState: the state in {state} has no component {name!r}; resume with its config")
        pipe.from_disk(state / name, exclude=["vocab"])
    optimizer.bind(nlp)
    load_state(optimizer, nlp, state / OPTIMIZER)
    allocate_gradients(optimizer, nlp)
    training = srsly.read_msgpack(state / TRAINING)
    for name, value in find_resumables(nlp).items():
        if name in training["layers"]:
            value.resume(training["layers"][name])
    set_generators(training["random"])


def allocate_gradients(optimizer: GroupedAdam, nlp: Language) -> None:
    """Give all parameters that have been updated a gradient of zero, as they have after a step: momentum and weight
    decay move such a parameter in a step that brings it no gradient, and leave alone one that has never had any.
    """
    for pipe in trainable_pipes(nlp).values():
        for node in pipe.model.walk():
            for name in node.param_names:
                if (node.id, name) in optimizer.nr_update and not node.has_grad(name):
                    node.set_grad(name, node.get_param(name) * 0)


def find_state(folder: Path) -> Path:
    """The newest state in the folder. Raises a ValueError if there is none."""
    state = newest_state(folder)
    if state is None:
        raise ValueError(
            f"TrainingState: there is no state to resume from in {folder}: no folder state-NUMBER; set resume = false "
            "to start a new training"
        )
    return state
