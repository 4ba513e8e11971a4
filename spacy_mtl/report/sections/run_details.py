"""How it was measured: the runs, the budget, and the versions."""

from markupsafe import Markup

from ..report_data import ReportData
from ..templating import render


class RunDetails:
    """The section."""

    id = "details"
    title = "How this was measured"
    order = 900

    def render(self, data: ReportData) -> Markup | None:
        """Show nothing for a single pipeline."""
        if data.comparison is None:
            return None
        return render("run_details.html", comparison=data.comparison, split=data.split, metrics=data.metrics)


def make_run_details_v1() -> RunDetails:
    """Build the section with the runs."""
    return RunDetails()
