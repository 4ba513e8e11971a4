"""The callback that saves a training's state now and then, so that it can be resumed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language

from .grouped import BY_STATE, GroupedAdam
from .parameters import find_resumables, trainable_pipes
from .random_numbers import read_generators, set_generators
from .state import load_state, save_state
from .state_folder import add_state, newest_state

OPTIMIZER = "optimizer.msgpack"
TRAINING = "training.msgpack"
BeforeUpdateT = Callable[[Language, dict[str, Any]], None]


def make_training_state_v1(path: str, every: int = 1000, resume: bool = False) -> BeforeUpdateT:
    """Build the callback, for [training.before_update]. [training.optimizer] must be `spacy_mtl.Optimizer.v1` with this
    path as its `state`; it is bound to the pipeline, so that its groups can be told by component and head.

    The state is the weights as they are (in a saved pipeline they may be averages), the optimizer's moments and
    averages, the step, to which the schedules return, what layers have counted, and random numbers. The batcher
    `spacy_mtl.resume_batches.v1` goes on at the same place in the data. Not saved: what a weighting has seen, and
    spaCy's count of steps and best score: max_steps and patience begin again.

    path (str): The folder. It keeps the newest state; at every moment there is a complete one.
    every (int): Steps from one saving to the next; 0 for none.
    resume (bool): Go on from the newest state in the folder.
    """
    if every < 0:
        raise ValueError(f"TrainingState: every is {every}, expected a number of steps, or 0")
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
    """The optimizer whose `state` is this folder."""
    optimizer = BY_STATE.get(folder.resolve())
    if optimizer is None:
        raise ValueError(
            f"TrainingState: there is no optimizer with state = {str(folder)!r}; [training.optimizer] must be "
            "spacy_mtl.Optimizer.v1, with state the same as path in [training.before_update]"
        )
    return optimizer


def begin(optimizer: GroupedAdam, nlp: Language, folder: Path, *, resume: bool) -> None:
    """Bind the optimizer to the pipeline, after its state was loaded if the training is resumed."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"TrainingState: path {folder} is a file, expected a folder; give another path")
    if resume:
        load_training(optimizer, nlp, folder)
    else:
        optimizer.bind(nlp)


def save_training(optimizer: GroupedAdam, nlp: Language, folder: Path) -> None:
    """Write weights, optimizer, and what else the training has come to. The old state stays until the new one is
    complete.
    """

    def write(new: Path) -> None:
        for name, pipe in trainable_pipes(nlp).items():
            pipe.to_disk(new / name, exclude=["vocab"])
        save_state(optimizer, nlp, new / OPTIMIZER)
        layers = {name: value.training_state() for name, value in find_resumables(nlp).items()}
        state = {"step": optimizer.step, "layers": layers, "random": read_generators()}
        srsly.write_msgpack(new / TRAINING, state)

    add_state(folder, write)


def load_training(optimizer: GroupedAdam, nlp: Language, folder: Path) -> None:
    """Load what `save_training` wrote into the pipeline and into a new optimizer, which is bound to the pipeline."""
    state = find_state(folder)
    for name, pipe in trainable_pipes(nlp).items():
        if not (state / name).is_dir():
            raise ValueError(f"TrainingState: the state in {state} has no component {name!r}; go on with its config")
        pipe.from_disk(state / name, exclude=["vocab"])
    optimizer.bind(nlp)
    load_state(optimizer, nlp, state / OPTIMIZER)
    training = srsly.read_msgpack(state / TRAINING)
    for name, value in find_resumables(nlp).items():
        if name in training["layers"]:
            value.resume(training["layers"][name])
    set_generators(training["random"])


def find_state(folder: Path) -> Path:
    """The newest state in the folder. Raises a ValueError if there is none."""
    state = newest_state(folder)
    if state is None:
        raise ValueError(
            f"TrainingState: there is no state to resume from in {folder}: no folder state-NUMBER; set resume = false "
            "to begin"
        )
    return state
