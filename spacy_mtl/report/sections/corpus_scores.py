"""What each corpus gave: how much it taught each head, and the scores on its docs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ..means import mean_of_known
from ..report_data import ReportData, Side
from ..templating import metric_name, render


@dataclass
class CorpusRow:
    """A head on a corpus. metric (str): Name of its main score. values (list[float | None]): One a side, mean over the
    seeds.
    """

    corpus: str
    head: str
    metric: str
    values: list[float | None]


class CorpusScores:
    """The section."""

    id = "corpora"
    title = "Corpus by corpus"
    order = 600

    def render(self, data: ReportData) -> Markup | None:
        """Show nothing where there is one corpus, or where the docs do not say which they are of."""
        rows = [row for head in data.metrics for row in rows_of(head, data.metrics[head], data.sides[head], data.split)]
        if len({row.corpus for row in rows}) < 2:
            return None
        rows.sort(key=lambda row: row.corpus)
        return render("corpus_scores.html", rows=rows, sides=next(iter(data.sides.values())), split=data.split)


def make_corpus_scores_v1() -> CorpusScores:
    """Build the section with the scores on each corpus."""
    return CorpusScores()


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
