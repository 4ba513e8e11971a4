"""Carrying out runs: the Protocol of an engine, and the one that runs processes on this machine.

An engine is found by its name in the registry `mtl_engines` (entry points `spacy_mtl_engines`); what is registered
there takes `EngineSettings`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from spacy.util import registry

from .run_folder import LOG, RunFolder, read_steps

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
# The first thing a process does is to wait for the end of its standard input, in a thread, and to end with it: the
# other side of the pipe is held by the parent. Importing spaCy takes seconds in which it would outlive a killed parent.
WORKER = """
import os, runpy, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(75)), daemon=True).start()
runpy.run_module("spacy_mtl.experiments.worker", run_name="__main__", alter_sys=True)
"""
# Seconds between two looks at the processes, and seconds that they have to end.
INTERVAL, GRACE = 0.2, 5.0


@dataclass(frozen=True)
class EngineSettings:
    """jobs (int): Number of runs at the same time. use_gpu (int): Number of the GPU, -1 for the CPU.
    code (Path | None): Python file with functions that the configs register.
    inherited (tuple[int, ...]): File descriptors that processes of this machine must inherit, see `output_folder`.
    """

    jobs: int = 1
    use_gpu: int = -1
    code: Path | None = None
    inherited: tuple[int, ...] = ()


class Watcher(Protocol):
    """What an engine tells of its work."""

    def started(self, folder: RunFolder) -> None:
        """The run has begun."""

    def advanced(self, folder: RunFolder, step: int) -> None:
        """The run has been evaluated after this number of steps."""

    def ended(self, folder: RunFolder) -> None:
        """The run has ended; `folder.is_finished` tells whether it succeeded."""


@runtime_checkable
class Engine(Protocol):
    """What carries out runs."""

    def run_all(self, folders: Sequence[RunFolder], watcher: Watcher) -> None:
        """Train and evaluate each run. Its folder is prepared: it has `run.json` and `config.cfg`. Afterwards it has
        what `run_folder` describes, or, if the run has failed, a `train.log` that ends with the reason. A run that
        fails does not stop the others.
        """


def find_engine(name: str) -> Callable[[EngineSettings], Engine]:
    """What makes the engine of this name. Raises a ValueError if there is none."""
    engines: dict[str, Callable[[EngineSettings], Engine]] = registry.mtl_engines.get_all()  # type: ignore[attr-defined]
    if name not in engines:
        raise ValueError(f"--engine {name}: there is no such engine; there are {sorted(engines)}")
    return engines[name]


def make_local_engine(settings: EngineSettings) -> "LocalEngine":
    """Build the engine that runs processes on this machine."""
    if settings.jobs < 1:
        raise ValueError(f"jobs is {settings.jobs}; it must be at least 1")
    return LocalEngine(settings)


@dataclass
class Job:
    """A process that works on a run."""

    folder: RunFolder
    process: "subprocess.Popen[bytes]"
    step: int = -1


class LocalEngine:
    """One process a run, each with one thread, a number of them at the same time. The processes end with this one, even
    if it is killed: they wait for the end of their standard input.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings

    def run_all(self, folders: Sequence[RunFolder], watcher: Watcher) -> None:
        """Carry out the runs in their order."""
        waiting = list(folders)
        jobs: list[Job] = []
        try:
            while waiting or jobs:
                while waiting and len(jobs) < self.settings.jobs:
                    folder = waiting.pop(0)
                    jobs.append(Job(folder, self._start(folder)))
                    watcher.started(folder)
                time.sleep(INTERVAL)
                jobs = [job for job in jobs if not look_at(job, watcher)]
        finally:
            stop([job.process for job in jobs])

    def _start(self, folder: RunFolder) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", WORKER, str(folder.path), "--gpu-id", str(self.settings.use_gpu)]
        if self.settings.code is not None:
            command += ["--code", str(self.settings.code)]
        with (folder.path / LOG).open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=one_thread_environment(),
                pass_fds=self.settings.inherited,
                start_new_session=True,  # ctrl-C reaches this process alone, which then ends the others
            )


def one_thread_environment() -> dict[str, str]:
    """The environment of a process that computes with one thread, and the same each time."""
    fixed = {"PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1"), **fixed}


def look_at(job: Job, watcher: Watcher) -> bool:
    """Tell of what has happened. RETURNS: whether the process has ended."""
    code = job.process.poll()
    steps = read_steps(job.folder.path)
    if steps and steps[-1]["step"] > job.step:
        job.step = steps[-1]["step"]
        watcher.advanced(job.folder, job.step)
    if code is None:
        return False
    if code and not job.folder.is_finished:
        with (job.folder.path / LOG).open("a", encoding="utf8") as log:
            log.write(f"The process ended with exit code {code}\n")
    watcher.ended(job.folder)
    return True


def stop(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """End the processes, kindly at first."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
