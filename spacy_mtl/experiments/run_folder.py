"""The folder of a run: what determines it, and what it leaves."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thinc.api import Config

from .run import Run

RUN, CONFIG, LOG, STEPS, MODEL, RESULT = "run.json", "config.cfg", "train.log", "steps.jsonl", "model", "result.json"
# Lines of a log that say why a run failed.
N_LINES = 15
LOGGER = "spacy_mtl.Logger.v1"


@dataclass(frozen=True)
class RunFolder:
    """A run and its folder. The run is finished if and only if there is a `result.json`, which is written last.

    run (Run): What is trained.
    path (Path): The folder.
    """

    run: Run
    path: Path

    @property
    def is_finished(self) -> bool:
        """Whether there is a result."""
        return (self.path / RESULT).exists()

    @property
    def model(self) -> Path:
        """The trained pipeline that was best on dev."""
        return self.path / MODEL

    def prepare(self) -> None:
        """Write what determines the run into a new folder. What an interrupted run has left is removed.

        RAISES ValueError: The folder holds something else.
        """
        if self.path.exists():
            if any(self.path.iterdir()) and not (self.path / RUN).exists():
                raise ValueError(f"{self.path} is not the folder of a run, since it has no {RUN}; move it away")
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        write_json(self.path / RUN, self.description())
        self.runnable_config().to_disk(self.path / CONFIG)

    def description(self) -> dict[str, Any]:
        """The contents of `run.json`."""
        run = self.run
        return {
            "key": run.key,
            "system": run.system,
            "heads": list(run.heads),
            "seed": run.seed,
            "config": dict(run.config),
            "data": run.data,
            "versions": dict(run.versions),
        }

    def runnable_config(self) -> Config:
        """The config, with a logger that writes to this folder."""
        config = self.run.config.copy()
        config["training"]["logger"] = {"@loggers": LOGGER, "path": str(self.path / STEPS), "progress_bar": False}
        return config

    def result(self) -> dict[str, Any]:
        """The contents of `result.json`."""
        found: dict[str, Any] = json.loads((self.path / RESULT).read_text(encoding="utf8"))
        return found

    def save_result(self, result: dict[str, Any]) -> None:
        """Write `result.json`, whole or not at all."""
        write_json(self.path / RESULT, result)

    def steps(self) -> list[dict[str, Any]]:
        """The evaluations of the training so far."""
        return read_steps(self.path)

    def last_words(self) -> str:
        """The end of the log."""
        log = self.path / LOG
        lines = log.read_text(encoding="utf8", errors="replace").splitlines() if log.exists() else []
        return "\n".join([line for line in lines if line.strip(" ^~")][-N_LINES:])


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """The evaluations that are in `steps.jsonl`; a last line that is being written is left out."""
    path = folder / STEPS
    lines = path.read_text(encoding="utf8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write the file so that it is whole or as it was before."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True, default=str) + "\n", encoding="utf8")
    os.replace(temporary, path)
