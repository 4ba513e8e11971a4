"""How each head learned: its dev score and its loss at every evaluation, joint and alone."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from ..charts import Series, curve_of, line_chart
from ..report_data import ReportData, Side
from ..templating import metric_name, render


class LearningCurves:
    """The section."""

    id = "curves"
    title = "Learning curves"
    order = 300

    def render(self, data: ReportData) -> Markup | None:
        """Show nothing where no run has noted its evaluations."""
        heads = [
            {"name": head, "charts": charts}
            for head in data.metrics
            if (charts := charts_of(head, data.metrics[head], data.sides[head]))
        ]
        if not heads:
            return None
        sides = next(iter(data.sides.values()))
        n_seeds = max(len(side.runs) for side in sides)
        return render("learning_curves.html", heads=heads, sides=sides, n_seeds=n_seeds)


def make_learning_curves_v1() -> LearningCurves:
    """Build the section with the learning curves."""
    return LearningCurves()


def charts_of(head: str, metric: str, sides: Sequence[Side]) -> list[Markup]:
    """The head's score and its loss over the steps, as far as they are known."""
    name = metric_name(metric, head)
    score = [series_of(side, ("scores", metric)) for side in sides]
    loss = [series_of(side, ("losses", f"multitask/{head}")) for side in sides]
    charts = []
    for found, label, factor in ((score, f"Dev {name}, %", 100.0), (loss, "Training loss, nats a step", 1.0)):
        known = [series for series in found if series is not None]
        if known:
            title = f"{head}: {label} over training steps"
            charts.append(line_chart(known, title=title, x_label="steps", y_label=label, factor=factor))
    return charts


def series_of(side: Side, path: tuple[str, str]) -> Series | None:
    """The curve of a value over the steps of all seeds, as far as it is known."""
    lines = [step for run in side.runs for step in run.steps]
    values: list[tuple[int, Any]] = [(int(line["step"]), line.get(path[0], {}).get(path[1])) for line in lines]
    return curve_of(side.key, side.label, [(step, float(value)) for step, value in values if value is not None])
