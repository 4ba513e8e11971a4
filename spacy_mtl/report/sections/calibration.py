"""How far the probabilities of a calibrated pipeline can be believed, and what its prediction sets look like."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ..charts import Series, line_chart
from ..reliability_chart import points_of, reliability_chart
from ..report_data import ReportData
from ..templating import render


@dataclass
class ShownHead:
    """A calibrated head. name (str): Its name. kept (Mapping): What its calibration keeps. charts (list[Markup])."""

    name: str
    kept: Mapping[str, Any]
    charts: list[Markup]


class Calibration:
    """The section."""

    id = "calibration"
    title = "Calibration"
    order = 370

    def render(self, data: ReportData) -> Markup | None:
        """Show nothing where no head is calibrated."""
        heads = [ShownHead(name, kept, charts_of(name, kept)) for name, kept in data.calibrations.items()]
        if not heads:
            return None
        return render("calibration.html", heads=heads, has_sets=any(head.kept.get("sets") for head in heads))


def make_calibration_v1() -> Calibration:
    """Build the section on calibration error, reliability, prediction sets and the risk of selective answers."""
    return Calibration()


def charts_of(name: str, kept: Mapping[str, Any]) -> list[Markup]:
    """The reliability of each kind of probability before and after, and the risk of the docs that are answered."""
    charts = []
    for unit, measures in kept["measures"].items():
        for when, key in (("before", "alone"), ("after", "joint")):
            error = 100 * measures[when]["ece"]
            title = f"{name}, {unit}: share that is right over probability, {when}; calibration error {error:.1f} %"
            charts.append(
                reliability_chart(points_of(measures[when]["bins"]), title=title, key=key, note=f"{unit}, {when}")
            )
    points = kept.get("risk", ())
    if len(points) > 1:
        shares, risks = [100 * one["share"] for one in points], [one["risk"] for one in points]
        curve = Series("joint", "Risk", shares, risks, risks, [one["bound"] for one in points])
        title = f"{name}: share of wrong docs over the share of docs that are answered"
        charts.append(line_chart([curve], title=title, x_label="docs answered, %", y_label="Wrong, %", factor=100.0))
    return charts
