"""The file with one JSON object an evaluation."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEYS = frozenset({"epoch", "step", "words", "seconds", "score", "losses", "scores"})


class StepLog:
    """Appends evaluations to a JSON lines file. Steps that a resumed training takes again replace those in the file.

    path (Path): The file. Its folder is made if it is not there.
    n_done (int): Number of steps that the training had taken when it was saved; 0 if it begins.
    """

    def __init__(self, path: Path, n_done: int) -> None:
        self._done = n_done
        kept = [line for line in read_steps(path) if line["step"] < n_done]
        self._before = kept[-1] if kept else {"words": 0, "seconds": 0.0}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_text("".join(map(as_line, kept)), encoding="utf8", newline="\n")
        os.replace(part, path)
        self._file = path.open("a", encoding="utf8", newline="\n")

    def add(self, line: Mapping[str, Any]) -> None:
        """Append an evaluation.

        line (Mapping[str, Any]): Has `KEYS`, with step, words and seconds counted from the start of the process.
        """
        seconds = round(self._before["seconds"] + line["seconds"], 3)
        totals = {"step": self._done + line["step"], "words": self._before["words"] + line["words"], "seconds": seconds}
        self._file.write(as_line({**line, **totals}))
        self._file.flush()

    def __enter__(self) -> "StepLog":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def read_steps(path: Path) -> list[dict[str, Any]]:
    """The evaluations in a file, none if it is not there. A last line that was cut off by a kill is left out.

    Raises a ValueError if the file holds anything else.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf8").splitlines(keepends=True)
    found = [parse(line) for line in lines]
    if lines and found[-1] is None and not lines[-1].endswith("\n"):
        found.pop()
    steps = [line for line in found if line is not None]
    if len(steps) < len(found):
        raise ValueError(
            f"Logger: {path}, line {found.index(None) + 1}: this is no evaluation that spacy_mtl.Logger.v1 wrote; give "
            "another path, or delete the file"
        )
    return steps


def parse(line: str) -> dict[str, Any] | None:
    """The evaluation in a line, None if it is none."""
    try:
        data = json.loads(line)
    except json.JSONDecodeError:
        return None
    return data if isinstance(data, dict) and data.keys() >= KEYS else None


def as_line(data: Mapping[str, Any]) -> str:
    """An evaluation as a line of the file."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False) + "\n"
