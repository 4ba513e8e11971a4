"""The scores of one trained pipeline, head by head."""

from typing import Any

from markupsafe import Markup

from ..report_data import ReportData
from ..templating import percent, render, short


class HeadScores:
    """The section."""

    id = "scores"
    title = "Scores"
    order = 200

    def render(self, data: ReportData) -> Markup | None:
        """Show nothing for a comparison: its verdicts have the scores."""
        if data.comparison is not None:
            return None
        (run,) = {run.name: run for sides in data.sides.values() for side in sides for run in side.runs}.values()
        scores = run.scores[data.split]
        rows = [
            (head, metric, scores.get(metric), others(head, metric, scores, data.in_units))
            for head, metric in data.metrics.items()
        ]
        together = {name: scores.get(name) for name in ("multitask_score", "multitask_exact")}
        return render("head_scores.html", rows=rows, together=together)


def make_head_scores_v1() -> HeadScores:
    """Build the section with the scores of one pipeline."""
    return HeadScores()


def others(head: str, metric: str, scores: dict[str, Any], in_units: frozenset[str]) -> dict[str, str]:
    """A head's other scores that are numbers, by their name without the head: in per cent, or in their unit."""
    prefix = f"{head}_"
    return {
        name.removeprefix(prefix): short(value) if name in in_units else percent(value)
        for name, value in scores.items()
        if name.startswith(prefix) and name != metric and isinstance(value, float)
    }
