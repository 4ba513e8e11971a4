"""Scores by label, joint beside alone, and how many gold decisions they rest on."""

from dataclasses import dataclass

from markupsafe import Markup

from ..label_counts import LabelScore, label_scores
from ..report_data import ReportData
from ..templating import render

ROWS, SHOWN, OPEN = 200, 12, 6
NO_SCORE = LabelScore(0.0, 0.0, 0.0, 0.0)


@dataclass
class LabelRow:
    """A label. scores (list[LabelScore]): One a side. change (float | None): F1 of the first side minus the second."""

    label: str
    scores: list[LabelScore]
    change: float | None


class PerLabel:
    """The section."""

    id = "labels"
    title = "Scores by label"
    order = 400

    def render(self, data: ReportData) -> Markup | None:
        """Show the heads that show their decisions (`ShowsDecisions`) on docs with gold."""
        heads = []
        for head in data.metrics:
            found = data.label_pairs(head)
            if found:
                rows = rows_of([label_scores(runs) for _, runs in found])
                unit = found[0][1][0].unit
                heads.append({"name": head, "rows": rows, "sides": [side for side, _ in found], "unit": unit})
        if not heads:
            return None
        return render(
            "per_label.html",
            heads=heads,
            split=data.split,
            limit=ROWS,
            shown=SHOWN,
            open=len(heads) <= OPEN,
        )


def make_per_label_v1() -> PerLabel:
    """Build the section with the scores by label."""
    return PerLabel()


def rows_of(scores: list[dict[str, LabelScore]]) -> list[LabelRow]:
    """One row a label: those that change most first, or with a single side those with the lowest F1."""
    names = sorted({name for side in scores for name in side})
    rows = []
    for name in names:
        own = [side.get(name, NO_SCORE) for side in scores]
        rows.append(LabelRow(name, own, own[0].f - own[1].f if len(own) > 1 else None))
    return sorted(rows, key=lambda row: (-abs(row.change) if row.change is not None else row.scores[0].f, row.label))
