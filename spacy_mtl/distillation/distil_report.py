"""What came of a distillation, as plain data and as tables."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..cotraining.report import markdown_table, percent

TAUGHT_HEADER = ("texts", "head", "soft", "labels", "not sure enough", "mean confidence", "dropped at other tokens")
SCORE_HEADER = ("system", "MiB on disk")


@dataclass
class SystemRow:
    """A teacher, the student, or the student on gold alone.

    name (str): What it is. model (str): Its folder. bytes (int): Its size on disk.
    scores (dict[str, float | None]): Main scores on dev by the student's head.
    """

    name: str
    model: str
    bytes: int
    scores: dict[str, float | None]


@dataclass
class DistilReport:
    """A whole distillation.

    settings (dict[str, Any]): The options.
    taught (list[dict[str, Any]]): What the teachers have made of the raw and of the augmented texts: the texts, the
        head, and the fields of `TaughtCounts`.
    dropped (dict[str, int]): Number of entities and values by head that did not fit the student's tokens.
    systems (list[SystemRow]): The teachers, the student, and the student on gold alone if it was asked for.
    notes (list[str]): What the user should know.
    """

    settings: dict[str, Any]
    taught: list[dict[str, Any]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    systems: list[SystemRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write report.json and report.md, each whole or as it was."""
        contents = {
            "report.json": json.dumps(asdict(self), indent=2, default=str),
            "report.md": as_markdown(self),
        }
        for name, text in contents.items():
            temporary = folder / f".{name}.tmp"
            temporary.write_text(text + "\n", encoding="utf8")
            os.replace(temporary, folder / name)


def taught_rows(report: DistilReport) -> list[tuple[str, ...]]:
    """A row of `TAUGHT_HEADER` for each head with a teacher, and each kind of texts."""
    return [
        (
            row["texts"],
            row["head"],
            *(str(row[name]) for name in ("soft", "hard", "doubtful")),
            "unknown" if row["confidence"] is None else percent(row["confidence"]),
            str(report.dropped.get(row["head"], 0)),
        )
        for row in report.taught
    ]


def score_header(report: DistilReport) -> tuple[str, ...]:
    """The columns of `score_rows`."""
    return (*SCORE_HEADER, *heads_in(report))


def score_rows(report: DistilReport) -> list[tuple[str, ...]]:
    """A row for each system: its size, and its scores in per cent."""
    heads = heads_in(report)
    return [
        (one.name, f"{one.bytes / 2**20:.1f}", *(percent(one.scores.get(head)) for head in heads))
        for one in report.systems
    ]


def heads_in(report: DistilReport) -> Sequence[str]:
    """The heads that any system has a score of."""
    return list(dict.fromkeys(head for one in reversed(report.systems) for head in one.scores))


def as_markdown(report: DistilReport) -> str:
    """Format the report for people."""
    lines = ["# Distillation", "", "Main scores on dev and shares are per cent.", ""]
    if report.taught:
        lines += ["Texts without gold:", "", *markdown_table(TAUGHT_HEADER, taught_rows(report)), ""]
    lines += markdown_table(score_header(report), score_rows(report))
    lines += ["", *(f"- {note}" for note in report.notes)] if report.notes else []
    return "\n".join(lines)
