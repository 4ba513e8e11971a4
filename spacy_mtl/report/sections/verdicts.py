"""Does sharing help? One sentence a head, then the figures."""

from dataclasses import dataclass

from markupsafe import Markup

from ...comparison.result import Comparison, Difference
from ...comparison.systems import JOINT
from ..charts import Bar, interval_chart
from ..means import mean_of_known
from ..report_data import ReportData
from ..templating import metric_name, percent, points, render

KEYS = {"helped": "helped", "hurt": "hurt", "no difference shown": "none", "not measured": "unknown"}
HEADLINES = {
    "helped": "Sharing helped {}",
    "hurt": "Sharing hurt {}",
    "no difference shown": "No difference shown for {}",
    "not measured": "Not measured: {}",
}


@dataclass
class Verdict:
    """A head's verdict in words. key (str): Decides its colour. headline, sentence (str): What it says."""

    key: str
    headline: str
    sentence: str


class Verdicts:
    """The section."""

    id = "verdicts"
    title = "Does sharing help?"
    order = 100

    def render(self, data: ReportData) -> Markup | None:
        """Show nothing for a single pipeline: it has nothing to be compared with."""
        comparison = data.comparison
        if comparison is None:
            return None
        main = main_differences(comparison, data.split)
        return render(
            "verdicts.html",
            verdicts=[verdict_of(found, comparison) for found in main],
            summary=summary_of(main),
            improvement=comparison.relative_improvement.get(data.split),
            split=data.split,
            chart=_chart(main),
            differences=comparison.differences,
            failures=comparison.failures,
            n_runs=len(comparison.runs),
            method=comparison.method,
        )


def make_verdicts_v1() -> Verdicts:
    """Build the section with a verdict for each head."""
    return Verdicts()


def main_differences(comparison: Comparison, split: str) -> list[Difference]:
    """Joint training against training alone, one for each head."""
    return [found for found in comparison.differences if found.system == JOINT and found.split == split]


def verdict_of(found: Difference, comparison: Comparison) -> Verdict:
    """Say what was found of a head, and how certain it is."""
    together = {head.name: head.alone_with for head in comparison.heads}.get(found.head, [])
    alone = f"with {' and '.join(together)} only" if together else "alone"
    scores, baseline = mean_of_known(found.scores), mean_of_known(found.baseline_scores)
    if found.difference is None or scores is None or baseline is None:
        return Verdict(KEYS[found.verdict], HEADLINES[found.verdict].format(found.head), found.reason)
    metric = metric_name(found.metric, found.head)
    change = f"{points(found.difference)} points, 95 % interval {points(found.low)} to {points(found.high)}"
    parts = [f"{metric[0].upper()}{metric[1:]} {percent(scores)} instead of {percent(baseline)} {alone} ({change})."]
    if found.verdict == "no difference shown" and found.detectable is not None:
        parts.append(
            f"This {found.split} set could have shown a difference of {percent(found.detectable)} points or more."
        )
    if found.reason:
        parts.append(found.reason[0].upper() + found.reason[1:].rstrip(".") + ".")
    return Verdict(KEYS[found.verdict], HEADLINES[found.verdict].format(found.head), " ".join(parts))


def summary_of(differences: list[Difference]) -> str:
    """All verdicts in one sentence."""
    numbers = {verdict: sum(found.verdict == verdict for found in differences) for verdict in KEYS}
    total = len(differences)
    heads = f"{total} heads" if total != 1 else "1 head"
    parts = [
        text.format(number)
        for text, number in (
            ("helped {}", numbers["helped"]),
            ("hurt {}", numbers["hurt"]),
            ("showed no difference for {}", numbers["no difference shown"]),
            ("was not measured for {}", numbers["not measured"]),
        )
        if number
    ]
    if len(parts) > 1:
        parts[-1] = f"and {parts[-1]}"
    return f"Of {heads}, sharing {(', ' if len(parts) > 2 else ' ').join(parts)}." if parts else ""


def _chart(differences: list[Difference]) -> Markup | None:
    bars = [
        Bar(found.head, KEYS[found.verdict], 100 * found.difference, 100 * found.low, 100 * found.high)
        for found in differences
        if found.difference is not None and found.low is not None and found.high is not None
    ]
    if not bars:
        return None
    return interval_chart(
        bars,
        title="Difference between joint training and training alone, with its 95 % interval, for each head",
        x_label="difference in points",
        left="alone is better",
        right="joint is better",
    )
