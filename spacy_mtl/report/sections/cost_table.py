"""What sharing saves: one joint pipeline against one pipeline for each head."""

from collections.abc import Sequence

from markupsafe import Markup

from ...comparison.result import Cost
from ...comparison.systems import JOINT
from ..report_data import ReportData
from ..templating import render

SINGLE = "single"


class CostTable:
    """The section."""

    id = "cost"
    title = "What sharing saves"
    order = 800

    def render(self, data: ReportData) -> Markup | None:
        """Show nothing for a single pipeline, and where no cost was measured."""
        if data.comparison is None or not data.comparison.costs:
            return None
        costs = data.comparison.costs
        return render("cost_table.html", costs=costs, sentence=sentence_of(costs), names=names_of(costs))


def make_cost_table_v1() -> CostTable:
    """Build the section with sizes, times and memory."""
    return CostTable()


def names_of(costs: Sequence[Cost]) -> dict[str, str]:
    """The systems as the table names them."""
    n_single = sum(cost.system.endswith(" alone") for cost in costs)
    return {
        JOINT: "One joint pipeline",
        SINGLE: f"{n_single} single pipelines together" if n_single else "Single pipelines together",
    }


def sentence_of(costs: Sequence[Cost]) -> str:
    """The joint pipeline's parameters, training time and speed as multiples of those of the single ones."""
    by_name = {cost.system: cost for cost in costs}
    joint, single = by_name.get(JOINT), by_name.get(SINGLE)
    if joint is None or single is None:
        return ""
    parts = []
    if joint.parameters and single.parameters:
        parts.append(f"{100 * joint.parameters / single.parameters:.0f} % of the parameters")
    if joint.train_seconds and single.train_seconds:
        parts.append(f"{100 * joint.train_seconds / single.train_seconds:.0f} % of the training time")
    if not parts and not joint.words_per_second:
        return ""
    text = f"One joint pipeline needs {' and '.join(parts)} of the single ones" if parts else "One joint pipeline"
    if joint.words_per_second and single.words_per_second:
        text += (
            f"{' and' if parts else ''} predicts {joint.words_per_second / single.words_per_second:.1f} times as fast"
        )
    return text + "."
