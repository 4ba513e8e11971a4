"""What the sections of a report are made from, whether it is of a comparison or of one trained pipeline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from ..comparison.result import Comparison
from ..protocols.decisions import Decisions
from .label_counts import LabelPairs, count_pairs

DecideT = Callable[[str], Decisions | None]


def no_decisions(head: str) -> None:
    """What a run knows of a head whose decisions it has not kept."""


@dataclass
class TrainedRun:
    """A trained pipeline: its scores, and what its heads decided on the docs of the report.

    name (str): Unique among the runs.
    system (str): The system that it trained: "joint", "intent alone".
    seed (int): Its seed.
    heads (tuple[str, ...]): The heads in it.
    scores (dict[str, dict[str, Any]]): Split -> what `nlp.evaluate` returned.
    steps (list[dict[str, Any]]): One entry an evaluation during training, as `spacy_mtl.Logger.v1` writes them; empty
        if they are not known.
    balance (dict[str, dict[str, Any]]): Component -> its read-out of the whole training, where `steps` has none.
    decisions (Callable[[str], Decisions | None]): Gets the decisions of a head on the docs of the report; None for a
        head that does not show any, and where no doc has its gold.
    """

    name: str
    system: str
    seed: int
    heads: tuple[str, ...]
    scores: dict[str, dict[str, Any]]
    steps: list[dict[str, Any]] = field(default_factory=list)
    balance: dict[str, dict[str, Any]] = field(default_factory=dict)
    decisions: DecideT = no_decisions


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
    metrics (dict[str, str]): All heads in the order of the config, with the score that each is judged by, such as
        "intent_acc".
    sides (dict[str, list[Side]]): For each head the systems to show: joint training first, then training alone.
    split (str): The split whose docs are shown: "test" or "dev".
    docs (Sequence[Doc]): The docs of the split, of which a section may count on the tokens alone; empty if they are not
        known. Those of a comparison are built one by one when they are asked for.
    lengths (Sequence[int]): Number of tokens of each doc.
    in_units (frozenset[str]): Scores in the unit of the gold, such as "mood_mae"; all others are from 0 to 1.
    comparison (Comparison | None): The result of `mtl compare`; None for one trained pipeline.
    folder (Path | None): The folder of the comparison.
    pipeline (Language | None): The trained pipeline of the report; None for a comparison.
    n_explained (int): Number of docs whose predictions are explained by it; 0 for none.
    calibrations (dict[str, Mapping[str, Any]]): What the calibration of each calibrated head keeps, such as its
        temperature and its reliability before and after.
    """

    title: str
    facts: dict[str, str]
    lang: str
    metrics: dict[str, str]
    sides: dict[str, list[Side]]
    split: str
    docs: Sequence[Doc]
    lengths: Sequence[int]
    in_units: frozenset[str] = frozenset()
    comparison: Comparison | None = None
    folder: Path | None = None
    pipeline: Language | None = None
    n_explained: int = 0
    calibrations: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _pairs: dict[tuple[str, str], LabelPairs | None] = field(default_factory=dict)

    def label_pairs(self, head: str) -> list[tuple[Side, list[LabelPairs]]]:
        """For the sides of a head, how often each run took which label for which; without sides that do not know."""
        found = [
            (side, [pairs for run in side.runs if (pairs := self._pairs_of(head, run)) is not None])
            for side in self.sides[head]
        ]
        return [(side, pairs) for side, pairs in found if pairs]

    def first_decisions(self, head: str) -> list[tuple[Side, Decisions]]:
        """The sides of a head with the decisions of their first seed, without the sides that have none."""
        found = []
        for side in self.sides[head]:
            known = (decisions for run in side.runs if (decisions := run.decisions(head)) is not None)
            found += [(side, decisions) for decisions in islice(known, 1)]
        return found

    def _pairs_of(self, head: str, run: TrainedRun) -> LabelPairs | None:
        key = head, run.name
        if key not in self._pairs:
            decisions = run.decisions(head)
            self._pairs[key] = None if decisions is None else count_pairs(decisions)
        return self._pairs[key]
