"""How the heads share the encoder in joint training: losses, weights, gradients, and how much the heads conflict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ...balance.readout_sums import add_up
from ..charts import curve_of, line_chart
from ..report_data import ReportData, TrainedRun
from ..templating import render, signed

JOINT = "joint"
# curves of a head: the key in its read-out, the title of the axis
CURVES = (("loss", "Loss, nats"), ("weight", "Weight"), ("gradient_norm", "Gradient norm"))
# The cosine from which on a cell has its full colour: gradients of real tasks are seldom more than this apart.
FULL = 0.5


@dataclass
class PairCell:
    """Two heads, of which each has a row and a column.

    key (str): "with" if they pull the encoder in one direction, "against" if in opposite ones, "" if this is unknown.
    depth (float): Of the colour, from 0 to 1. text (str): What the cell says.
    """

    key: str
    depth: float
    text: str


class Balance:
    """The section."""

    id = "balance"
    title = "Balance"
    order = 350

    def render(self, data: ReportData) -> Markup | None:
        """Show nothing where no joint training has noted a read-out."""
        runs = joint_runs(data)
        names = dict.fromkeys(name for run in runs for name in (*run.balance, *names_in(run)))
        components = [found for name in names if (found := describe(name, runs))]
        if not components:
            return None
        return render("head_balance.html", components=components, n_seeds=len(runs))


def make_balance_v1() -> Balance:
    """Build the section on how the heads share the encoder."""
    return Balance()


def joint_runs(data: ReportData) -> list[TrainedRun]:
    """The joint trainings, one a seed."""
    runs = [run for sides in data.sides.values() for side in sides if side.key == JOINT for run in side.runs]
    return list({run.name: run for run in runs}.values())


def names_in(run: TrainedRun) -> list[str]:
    """The components whose read-outs are in the log of a training."""
    return [name for line in run.steps for name in line.get("balance", {})]


def describe(name: str, runs: Sequence[TrainedRun]) -> dict[str, Any] | None:
    """What the page shows of a component; None if it has no read-out."""
    logs = [(int(line["step"]), line.get("balance", {}).get(name) or {}) for run in runs for line in run.steps]
    total = add_up([found for _, found in logs] or [run.balance.get(name, {}) for run in runs])
    if not total:
        return None
    heads = list(total["heads"])
    pairs = {frozenset(pair["heads"]): pair for pair in total["conflict"]}
    return {
        "name": name,
        "total": total,
        "heads": heads,
        "cosines": matrix_of(heads, pairs, cosine_cell),
        "shares": matrix_of(heads, pairs, share_cell),
        "has_pairs": bool(pairs),
        "figures": [(head, charts) for head in heads if (charts := charts_of(head, logs))],
    }


def matrix_of(
    heads: Sequence[str], pairs: dict[frozenset[str], dict[str, Any]], make: Callable[[dict[str, Any]], PairCell]
) -> list[list[PairCell]]:
    """The cells by row. The diagonal, and what was not measured, is empty."""
    empty = PairCell("", 0.0, "")
    return [
        [make(pairs[frozenset((row, column))]) if frozenset((row, column)) in pairs else empty for column in heads]
        for row in heads
    ]


def cosine_cell(pair: dict[str, Any]) -> PairCell:
    """The mean cosine of two heads' gradients."""
    cosine = pair["cosine"]
    return PairCell("against" if cosine < 0 else "with", min(abs(cosine) / FULL, 1.0), signed(cosine))


def share_cell(pair: dict[str, Any]) -> PairCell:
    """The share of the measured steps in which two heads were in conflict. Half of them is chance."""
    share = pair["share"]
    return PairCell("against" if share > 0.5 else "with", 2 * abs(share - 0.5), f"{100 * share:.0f}")


def charts_of(head: str, logs: Sequence[tuple[int, dict[str, Any]]]) -> list[Markup]:
    """The head's curves over the steps. A weight that stays the same needs none."""
    charts = []
    for key, label in CURVES:
        values = [(step, found["heads"][head][key]) for step, found in logs if head in found.get("heads", {})]
        known = [(step, value) for step, value in values if value is not None]
        curve = curve_of(JOINT, "Joint", known)
        if curve is not None and not (key == "weight" and len({value for _, value in known}) == 1):
            title = f"{head}: {label} over training steps"
            charts.append(line_chart([curve], title=title, x_label="steps", y_label=label))
    return charts
