"""The report of a co-training: what happened in each round, as plain data and as tables."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from ..experiments.learner import Learner
from .labelling import Labelled


@dataclass
class HeadReport:
    """The labels that a head got in a round.

    threshold (float): The confidence that both learners had to reach.
    labels (int): Number of predictions that became labels.
    new (int): Number of these on texts that had no label of this head in the round before.
    agreement (float): Share of the texts on which both learners predicted the same.
    confidence (float): Mean over the texts of the less certain learner's confidence.
    """

    threshold: float
    labels: int
    new: int
    agreement: float
    confidence: float


@dataclass
class LearnerReport:
    """A learner of a round.

    name (str): "first" or "second".
    model (str): Its folder, relative to the output folder.
    score (float): Its dev score, weighted by `training.score_weights`.
    heads (dict[str, float | None]): Main score of each head on dev.
    """

    name: str
    model: str
    score: float
    heads: dict[str, float | None]


@dataclass
class Round:
    """A round of labelling and training.

    number (int): The number of the round; round 0 trains on gold alone.
    texts (int): Number of raw texts that got a label.
    heads (dict[str, HeadReport]): The heads that can label texts.
    learners (list[LearnerReport]): The learners; empty if there was nothing new to learn from.
    """

    number: int
    texts: int = 0
    heads: dict[str, HeadReport] = field(default_factory=dict)
    learners: list[LearnerReport] = field(default_factory=list)

    @property
    def best(self) -> LearnerReport:
        """The learner with the highest dev score; the first of equal ones."""
        return max(self.learners, key=lambda learner: learner.score)


@dataclass
class Report:
    """A whole co-training.

    raw (str): Path of the raw texts.
    n_raw (int): Number of raw texts.
    settings (dict[str, Any]): The fields of `Settings`, and the seed.
    unable (list[str]): Heads without confidences, which therefore get no labels.
    rounds (list[Round]): The rounds so far.
    stopped (str): Why there was no further round; empty while the training goes on.
    """

    raw: str
    n_raw: int
    settings: dict[str, Any]
    unable: list[str]
    rounds: list[Round] = field(default_factory=list)
    stopped: str = ""

    @property
    def best_round(self) -> Round:
        """The round with the highest dev score; the earliest of equal ones."""
        return max((one for one in self.rounds if one.learners), key=lambda one: one.best.score)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data for JSON."""
        best = self.best_round
        return asdict(self) | {"best_round": best.number, "model": best.best.model, "score": best.best.score}

    def save(self, folder: Path) -> None:
        """Write report.json and report.md. Each is replaced in one go, so an interrupted run leaves no partial file."""
        contents = {"report.json": json.dumps(self.as_json(), indent=2), "report.md": as_markdown(self)}
        for name, text in contents.items():
            temporary = folder / f".{name}.tmp"
            temporary.write_text(text + "\n", encoding="utf8")
            os.replace(temporary, folder / name)


def report_labels(labelled: Labelled, before: Labelled | None) -> dict[str, HeadReport]:
    """Count the labels of a round."""
    new = labelled.n_new(before)
    return {
        head: HeadReport(
            labels.threshold, sum(labels.taken), new[head], mean(map(float, labels.agreed)), mean(labels.confidences)
        )
        for head, labels in labelled.heads.items()
    }


def report_learner(learner: Learner, folder: Path) -> LearnerReport:
    """Report the scores of a learner."""
    return LearnerReport(learner.name, learner.path.relative_to(folder).as_posix(), learner.score, learner.heads)


LABEL_HEADER = ("head", "threshold", "labels", "new", "agreement", "confidence")


def label_rows(one: Round, unable: Sequence[str]) -> list[tuple[str, ...]]:
    """Return a row of `LABEL_HEADER` for each head, with shares in per cent."""
    rows = [
        (head, f"{row.threshold:g}", str(row.labels), str(row.new), percent(row.agreement), percent(row.confidence))
        for head, row in one.heads.items()
    ]
    return [*rows, *((head, "gives no confidence", "0", "0", "", "") for head in unable)]


def score_header(one: Round) -> tuple[str, ...]:
    """Return the columns of `score_rows`."""
    return ("learner", "dev score", *one.learners[0].heads)


def score_rows(one: Round) -> list[tuple[str, ...]]:
    """Return a row for each learner, in per cent."""
    return [
        (learner.name, percent(learner.score), *(percent(score) for score in learner.heads.values()))
        for learner in one.learners
    ]


def percent(share: float | None) -> str:
    """Format a share in per cent with two decimals; an empty string for None."""
    return "" if share is None else f"{100 * share:.2f}"


def as_markdown(report: Report) -> str:
    """Format the report for people."""
    best = report.best_round
    lines = [
        "# Co-training",
        "",
        f"{report.n_raw} raw texts in `{report.raw}`. The learners differ in their {report.settings['agreement']}. "
        f"Scores and shares are per cent, on dev. Best: round {best.number}, `{best.best.model}`. "
        + (f"Stopped: {report.stopped}." if report.stopped else "Still running."),
    ]
    for one in report.rounds:
        lines += ["", f"## Round {one.number}", ""]
        if one.number:
            lines += [f"{one.texts} texts got a label.", ""]
            lines += [*markdown_table(LABEL_HEADER, label_rows(one, report.unable)), ""]
        if one.learners:
            lines += markdown_table(score_header(one), score_rows(one))
    return "\n".join(lines).rstrip()


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
