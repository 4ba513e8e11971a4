"""What each corpus gave: how much it taught each head, and the scores on its docs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ...comparison.result import Comparison
from ..means import mean_of_known
from ..report_data import ReportData, Side
from ..templating import metric_name, render

SHOWN = 24


@dataclass
class CorpusRow:
    """A head on a corpus. metric (str): Name of its main score. values (list[float | None]): One a side, mean over the
    seeds.
    """

    corpus: str
    head: str
    metric: str
    values: list[float | None]


@dataclass
class GoldRow:
    """What a training corpus gives to a head.

    n_docs (int): Number of docs of the corpus. with_gold (int): Of these, docs with the head's gold.
    units (int | None): Number of annotated docs or tokens.
    """

    corpus: str
    head: str
    n_docs: int
    with_gold: int
    units: int | None


class CorpusScores:
    """The section."""

    id = "corpora"
    title = "Corpus by corpus"
    order = 600

    def render(self, data: ReportData) -> Markup | None:
        """Show what each training corpus gives, for a comparison; and scores where docs say which corpus they are of,
        and there are several.
        """
        rows = [row for head in data.metrics for row in rows_of(head, data.metrics[head], data.sides[head], data.split)]
        if len({row.corpus for row in rows}) < 2:
            rows = []
        rows.sort(key=lambda row: row.corpus)
        gold = [] if data.comparison is None else gold_rows(data.comparison)
        if not rows and not gold:
            return None
        sides = next(iter(data.sides.values()))
        return render("corpus_scores.html", rows=rows, gold=gold, shown=SHOWN, sides=sides, split=data.split)


def make_corpus_scores_v1() -> CorpusScores:
    """Build the section with the scores on each corpus."""
    return CorpusScores()


def gold_rows(comparison: Comparison) -> list[GoldRow]:
    """One row for each training corpus and head that it has gold for."""
    return [
        GoldRow(corpus, head, found["docs"], own["docs"], own["units"])
        for corpus, found in comparison.corpora.get("train", {}).items()
        for head, own in found["heads"].items()
        if own["docs"]
    ]


def rows_of(head: str, metric: str, sides: Sequence[Side], split: str) -> list[CorpusRow]:
    """The head's scores on each corpus that has gold for it."""
    scores: list[list[dict[str, Any]]] = [[run.scores.get(split, {}) for run in side.runs] for side in sides]
    ending = f"/{metric}"
    keys = sorted({key for side in scores for found in side for key in found if key.endswith(ending)})
    return [
        CorpusRow(
            key.removesuffix(ending),
            head,
            metric_name(metric, head),
            [mean_of_known(found.get(key) for found in side) for side in scores],
        )
        for key in keys
    ]
