"""The logger of a training: a table with a column for each head, a progress bar, a file, and further loggers."""

import math
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from numbers import Real
from pathlib import Path
from time import perf_counter
from typing import IO, Any

import srsly
from spacy.language import Language

from ..pipeline.head_progress import HeadProgress
from ..protocols.head import HasHeads
from ..protocols.readout import HasReadout
from .log_columns import find_columns
from .log_table import LogTable
from .lost_scores import LostScores
from .save_state import TRAINING, find_state
from .step_log import StepLog
from .step_progress import StepProgress

InfoT = dict[str, Any]
LogStepT = Callable[[InfoT | None], None]
FinalizeT = Callable[[], None]
LoggerT = Callable[[Language, IO[str], IO[str]], tuple[LogStepT, FinalizeT]]
NO_TERMINAL = (100, 24)
SPEED = "speed"  # in words/s, the only score that is no share


def make_logger_v1(
    progress_bar: bool = True,
    console_output: bool = True,
    path: str | None = None,
    state: str | None = None,
    resume: bool = False,
    loggers: dict[str, Any] | None = None,
) -> LoggerT:
    """Build a logger that prints a table with the main score of each head, in percent, and with the loss of each head,
    as the mean over the steps since the last evaluation. The table is as wide as the terminal, or as the environment
    variable COLUMNS says, and 100 characters in a file. If it is too wide, it leaves out totals of losses, then the
    losses of the heads; if the scores alone are too wide, each evaluation takes several lines.

    Each line of the file is a JSON object: "epoch", "step", "words" and "seconds" since the start, "score", "losses" by
    component and by component/head (means, too), and all "scores" that are numbers, from 0 to 1. "heads" has, by
    component, each head's "best_score" and "best_step" so far. "balance" has, by component, each head's loss, weight,
    gradient norm and share of the encoder's movement, and how much each two heads conflict, over the steps since the
    last evaluation; the guide "Balance" describes it.

    progress_bar (bool): Show the progress to the next evaluation and the speed in words/s, if there is a terminal.
    console_output (bool): Print the table. A training that began from another pipeline (`init_from`) ends with a
        second one: the main score on dev of each old head, before the training and at its best evaluation.
    path (str | None): JSON lines file, for one line an evaluation. A training that begins replaces it.
    state (str | None): The folder of the training's state: the `path` of `spacy_mtl.TrainingState.v1`. It is needed
        only if the training is resumed.
    resume (bool): Whether the training is resumed: the `resume` of `spacy_mtl.TrainingState.v1`. Steps are counted from
        those in the state, and the file keeps its lines of earlier steps.
    loggers (dict[str, Callable] | None): More loggers that are to see the training: sections with `@loggers`, such as
        `spacy.ConsoleLogger.v3` or `spacy.WandbLogger.v5`, by a name of your choice.
    """
    if resume and state is None:
        raise ValueError("Logger: resume is true without state; set it to the path of [training.before_update]")
    for name, logger in (loggers or {}).items():
        if not callable(logger):
            raise ValueError(f"Logger: {name!r} is {logger!r}, which is no logger; give it a section with @loggers")

    def setup_logger(
        nlp: Language, stdout: IO[str] = sys.stdout, stderr: IO[str] = sys.stderr
    ) -> tuple[LogStepT, FinalizeT]:
        n_done = read_step(Path(state)) if resume and state is not None else 0
        with ExitStack() as stack:
            steps: list[LogStepT] = []
            for _, logger in sorted((loggers or {}).items()):
                step, finalize = logger(nlp, stdout, stderr)
                steps.append(step)
                stack.callback(finalize)
            log = stack.enter_context(StepLog(Path(path), n_done)) if path is not None else None
            table = TablePrinter(nlp, stdout) if console_output else None
            if table is not None:
                stack.callback(table.finish)
            bar = stack.enter_context(StepProgress(nlp, stderr)) if progress_bar else None
            pipes: dict[str, Any] = dict(nlp.pipeline)
            with_heads: dict[str, Any] = {name: pipe for name, pipe in pipes.items() if isinstance(pipe, HasHeads)}
            progress = {name: pipe.progress for name, pipe in with_heads.items()}
            readouts = {name: pipe for name, pipe in pipes.items() if isinstance(pipe, HasReadout)}
            for pipe in readouts.values():
                pipe.show_readout(nlp)
            logger = Logger(n_done, log=log, table=table, bar=bar, progress=progress, readouts=readouts)
            steps.insert(0, logger.log_step)
            close = stack.pop_all().close

        def log_step(info: InfoT | None) -> None:
            for step in steps:
                step(info)

        return log_step, close

    return setup_logger


def read_step(state: Path) -> int:
    """The number of steps that a saved training had taken."""
    return int(srsly.read_msgpack(find_state(state) / TRAINING)["step"])


class Logger:
    """Turns what spaCy tells of a step into an evaluation for the file and the table.

    n_done (int): Number of steps before the process began.
    progress (Mapping[str, HeadProgress]): The progress of the heads, by component.
    readouts (Mapping[str, HasReadout]): The components that tell how their heads share the encoder.
    """

    def __init__(
        self,
        n_done: int,
        *,
        log: StepLog | None,
        table: "TablePrinter | None",
        bar: StepProgress | None,
        progress: Mapping[str, HeadProgress],
        readouts: Mapping[str, HasReadout],
    ) -> None:
        self.n_done, self.log, self.table, self.bar = n_done, log, table, bar
        self.progress, self.readouts = progress, readouts
        self._start = perf_counter()
        self._n_steps = 0

    def log_step(self, info: InfoT | None) -> None:
        """Log a step.

        info (dict[str, Any] | None): What spaCy knows of the training; None for steps without evaluation.
        """
        self._n_steps += 1
        if info is None:
            if self.bar is not None:
                self.bar.advance()
            return
        if self.bar is not None:
            self.bar.hide()
        evaluation = self.read(info)
        self._n_steps = 0
        if self.log is not None:
            self.log.add(evaluation)
        if self.table is not None:
            self.table.add({**evaluation, "step": self.n_done + info["step"]})
        if self.bar is not None:
            self.bar.begin(info["step"], info["words"])

    def read(self, info: InfoT) -> dict[str, Any]:
        """An evaluation as the file has it. Losses that are not finite are None."""
        losses = {key: float(value) / self._n_steps for key, value in info["losses"].items()}
        return {
            "epoch": info["epoch"],
            "step": info["step"],
            "words": info["words"],
            "seconds": perf_counter() - self._start,
            "score": float(info["score"]),
            "losses": {key: value if math.isfinite(value) else None for key, value in losses.items()},
            "scores": {key: float(value) for key, value in info["other_scores"].items() if is_number(value)},
            "heads": {name: progress.summary() for name, progress in self.progress.items()},
            "balance": {name: pipe.take_readout() for name, pipe in self.readouts.items()},
        }


def is_number(score: Any) -> bool:
    """Whether a score is a finite number: others are tables by label, or None for what was not measured."""
    return isinstance(score, Real) and not isinstance(score, bool) and math.isfinite(score)


class TablePrinter:
    """Prints evaluations as a table."""

    def __init__(self, nlp: Language, stdout: IO[str]) -> None:
        self._stdout = stdout
        self._lost = LostScores(nlp)
        self._table = LogTable(find_columns(nlp), shutil.get_terminal_size(NO_TERMINAL).columns)
        self._print(self._table.header())

    def add(self, evaluation: Mapping[str, Any]) -> None:
        """Print an evaluation."""
        percent = {key: value if key == SPEED else 100 * value for key, value in evaluation["scores"].items()}
        values = {**percent, **evaluation["losses"]}
        self._print(self._table.lines(evaluation["epoch"], evaluation["step"], 100 * evaluation["score"], values))
        self._lost.observe(evaluation["score"])

    def finish(self) -> None:
        """Print what old heads have lost, if the training began from another pipeline."""
        lines = self._lost.lines()
        if lines:
            self._print([lines])

    def _print(self, lines: Sequence[str]) -> None:
        print("\n".join(lines), file=self._stdout, flush=True)
