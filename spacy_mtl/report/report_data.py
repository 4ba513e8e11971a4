"""What the sections of a report are made from, whether it is of a comparison or of one trained pipeline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from spacy.tokens import Doc
from spacy.training import Example

from ..comparison.result import Comparison
from ..pipeline.head_views import HeadViews
from ..protocols.decisions import Decisions
from ..protocols.head import Head, ShowsDecisions


@dataclass
class TrainedRun:
    """A trained pipeline: its scores, and its predictions on the docs of the report.

    name (str): Unique among the runs.
    system (str): The system that it trained: "joint", "intent alone".
    seed (int): Its seed.
    heads (tuple[str, ...]): The heads in it.
    scores (dict[str, dict[str, Any]]): Split -> what `nlp.evaluate` returned.
    steps (list[dict[str, Any]]): One entry an evaluation during training, as `spacy_mtl.Logger.v1` writes them; empty
        if they are not known.
    balance (dict[str, dict[str, Any]]): Component -> its read-out of the whole training, where `steps` has none.
    read (Callable[[], list[Doc]]): Reads the predicted docs, in the order of `ReportData.gold`.
    """

    name: str
    system: str
    seed: int
    heads: tuple[str, ...]
    scores: dict[str, dict[str, Any]]
    steps: list[dict[str, Any]] = field(default_factory=list)
    balance: dict[str, dict[str, Any]] = field(default_factory=dict)
    read: Callable[[], list[Doc]] = list

    @cached_property
    def predicted(self) -> list[Doc]:
        """The predicted docs; empty if they are not there any more."""
        return self.read()


@dataclass
class Side:
    """One of the systems that a head is shown in.

    key (str): "joint" or "alone": it decides the colour.
    label (str): As the page names it: "Joint", "Alone".
    runs (list[TrainedRun]): One a seed.
    """

    key: str
    label: str
    runs: list[TrainedRun]


@dataclass
class ReportData:
    """All that a section may use.

    title (str): Title of the page.
    facts (dict[str, str]): What was measured on what, shown under the title.
    lang (str): Language of the texts.
    heads (dict[str, Head]): The heads that were trained.
    metrics (dict[str, str]): All heads in the order of the config, with the score that each is judged by, such as
        "intent_acc".
    sides (dict[str, list[Side]]): For each head the systems to show: joint training first, then training alone.
    split (str): The split whose docs are shown: "test" or "dev".
    gold (list[Doc]): The gold docs that labels, confusions and errors are taken from.
    doc_numbers (Sequence[int]): Place of each of these docs in the data, from 1.
    n_docs (int): Number of docs of the split; more than `gold` if it was sampled.
    comparison (Comparison | None): The result of `mtl compare`; None for one trained pipeline.
    folder (Path | None): The folder of the comparison.
    """

    title: str
    facts: dict[str, str]
    lang: str
    heads: dict[str, Head]
    metrics: dict[str, str]
    sides: dict[str, list[Side]]
    split: str
    gold: list[Doc]
    doc_numbers: Sequence[int]
    n_docs: int
    comparison: Comparison | None = None
    folder: Path | None = None
    _decisions: dict[tuple[str, str], Decisions | None] = field(default_factory=dict)

    @property
    def is_sampled(self) -> bool:
        """Whether labels, confusions and errors are taken from a sample of the docs."""
        return len(self.gold) < self.n_docs

    def decisions(self, head: str, run: TrainedRun) -> Decisions | None:
        """The head's decisions in a run, made once. None if the head does not show any, or the docs are not there."""
        key = head, run.name
        if key not in self._decisions:
            own = self.heads.get(head)
            self._decisions[key] = None if own is None else decide(own, head, self.gold, run.predicted)
        return self._decisions[key]

    def all_decisions(self, head: str) -> list[tuple[Side, list[Decisions]]]:
        """The sides of a head with the decisions of their runs, without the sides that have none."""
        found = [
            (side, [made for run in side.runs if (made := self.decisions(head, run)) is not None])
            for side in self.sides[head]
        ]
        return [(side, made) for side, made in found if made]


def decide(head: Head, name: str, gold: Sequence[Doc], predicted: Sequence[Doc]) -> Decisions | None:
    """The head's decisions in these docs; None if it does not show any, or none has gold that it may learn from."""
    if not predicted or not isinstance(head, ShowsDecisions):
        return None
    found = head.decisions(HeadViews([Example(*pair) for pair in zip(predicted, gold, strict=True)]).of(name))
    return found if len(found.docs) else None
