"""What the terminal shows of runs that are being carried out."""

import sys
import time
from typing import IO, Any

from tqdm import tqdm

from .run_folder import RunFolder

BarT = Any  # tqdm, whose type hints depend on whether its stubs are installed


class RunProgress:
    """A bar a run with its steps and the time left, and one for all; without a terminal a line a run.

    n_runs (int): Number of runs to do. n_steps (int): Steps of all of them.
    """

    def __init__(self, n_runs: int, n_steps: int, *, jobs: int, stream: IO[str] | None = None) -> None:
        self.n_runs = n_runs
        self.stream = stream or sys.stderr
        self._free = list(range(1, jobs + 1))
        self._bars: dict[str, BarT] = {}
        self._slots: dict[str, int] = {}
        self._starts: dict[str, float] = {}
        self._n_ended = 0
        self._is_terminal = self.stream.isatty()
        self._all = self._bar(f"{n_runs} runs", n_steps, 0)

    def started(self, folder: RunFolder) -> None:
        """Show another bar."""
        self._starts[folder.path.name] = time.monotonic()
        slot = self._slots[folder.path.name] = self._free.pop(0)
        self._bars[folder.path.name] = self._bar(name_of(folder), steps_of_run(folder), slot)
        if not self._is_terminal:
            self._say(f"{name_of(folder)}: started")

    def advanced(self, folder: RunFolder, step: int) -> None:
        """Move the bars."""
        bar = self._bars[folder.path.name]
        self._all.update(step - bar.n)
        bar.update(step - bar.n)

    def ended(self, folder: RunFolder) -> None:
        """Take the bar away and leave a line."""
        bar = self._bars.pop(folder.path.name)
        self._all.update((bar.total or 0) - bar.n)
        bar.close()
        self._free.append(self._slots.pop(folder.path.name))
        self._n_ended += 1
        seconds = time.monotonic() - self._starts[folder.path.name]
        outcome = "finished" if folder.is_finished else "failed"
        counts = f"{self._n_ended} of {self.n_runs}" + ("" if self._is_terminal else self._time_left())
        self._say(f"{name_of(folder)}: {outcome} after {tqdm.format_interval(seconds)} ({counts})")

    def close(self) -> None:
        """Take all bars away."""
        for bar in (*self._bars.values(), self._all):
            bar.close()

    def _bar(self, name: str, total: int, slot: int) -> BarT:
        options = {"file": self.stream, "disable": not self._is_terminal, "leave": False, "position": slot}
        bar = tqdm(desc=name, total=total, unit=" steps", **options)
        bar.total = total
        return bar

    def _time_left(self) -> str:
        seconds = time.monotonic() - min(self._starts.values())
        left = seconds / self._n_ended * (self.n_runs - self._n_ended)
        return f", {tqdm.format_interval(left)} left" if left else ""

    def _say(self, line: str) -> None:
        if self._is_terminal:
            tqdm.write(line, file=self.stream)
        else:
            print(line, file=self.stream, flush=True)


def name_of(folder: RunFolder) -> str:
    """The name of a run for people."""
    return f"{folder.run.system}, seed {folder.run.seed}"


def steps_of_run(folder: RunFolder) -> int:
    """The steps that a run takes at most; 0 if its config does not say."""
    return int(folder.run.config["training"].get("max_steps") or 0)
