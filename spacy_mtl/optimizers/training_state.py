"""The callback that saves a training's state now and then, so that it can be resumed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spacy.language import Language

from .grouped import BY_STATE, GroupedAdam
from .parameters import trainable_pipes
from .state import load_state, save_state

FILE = "optimizer.msgpack"
BeforeUpdateT = Callable[[Language, dict[str, Any]], None]


def make_training_state_v1(path: str, every: int = 1000, resume: bool = False) -> BeforeUpdateT:
    """Build the callback that saves the state of a training and resumes from it, for `[training.before_update]`.
    `[training.optimizer]` must be `spacy_mtl.Optimizer.v1` with the same folder as its `state`. The callback also tells
    the optimizer to which component and head each parameter belongs, so that groups can be named by them.

    The state is the weights as they are trained (a saved pipeline may hold averages), the optimizer's moments and
    averages, and the step, to which schedules return. Not saved: random numbers, the position in the data, what
    samplers and weightings have seen, and spaCy's own count of steps and best score, so `max_steps` and `patience`
    start again.

    path (str): Folder of the state. An older state in it is replaced.
    every (int): Number of steps between two saves; 0 saves nothing.
    resume (bool): Resume from the state in the folder.
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
    check_folder(folder)
    if resume:
        load_training(optimizer, nlp, folder)
    else:
        optimizer.bind(nlp)


def check_folder(folder: Path) -> None:
    """Raise a ValueError if the folder has something in it that is no training state, which a saving would delete."""
    if folder.exists() and not (folder / FILE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"TrainingState: path {folder} exists and is no training state; give the path of a new folder")


def save_training(optimizer: GroupedAdam, nlp: Language, folder: Path) -> None:
    """Write weights and optimizer. The old state stays until the new one is complete."""
    check_folder(folder)
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for name, pipe in trainable_pipes(nlp).items():
        pipe.to_disk(new / name, exclude=["vocab"])
    save_state(optimizer, nlp, new / FILE)
    if folder.exists():
        shutil.rmtree(folder)
    new.rename(folder)


def load_training(optimizer: GroupedAdam, nlp: Language, folder: Path) -> None:
    """Load what `save_training` wrote into the pipeline and into a new optimizer, which is bound to the pipeline."""
    if not (folder / FILE).is_file():
        raise ValueError(
            f"TrainingState: there is no state to resume from in {folder}: no file {FILE}; set resume = false to begin"
        )
    for name, pipe in trainable_pipes(nlp).items():
        if not (folder / name).is_dir():
            raise ValueError(f"TrainingState: the state in {folder} has no component {name!r}; go on with its config")
        pipe.from_disk(folder / name, exclude=["vocab"])
    optimizer.bind(nlp)
    load_state(optimizer, nlp, folder / FILE)
