"""Carrying out the runs that have no result yet."""

from collections.abc import Sequence
from contextlib import closing

from .engine import Engine
from .progress import RunProgress, steps_of_run
from .run_folder import RunFolder


def finish_runs(engine: Engine, folders: Sequence[RunFolder], *, jobs: int) -> None:
    """Train and evaluate the runs without a result, and show the progress."""
    waiting = [folder for folder in folders if not folder.is_finished]
    for folder in waiting:
        folder.prepare()
    if waiting:
        with closing(RunProgress(len(waiting), sum(map(steps_of_run, waiting)), jobs=jobs)) as progress:
            engine.run_all(waiting, progress)
