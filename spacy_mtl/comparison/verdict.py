"""The verdict on each head: did training together help it?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .detectable import smallest_detectable
from .paired_test import Estimate, JudgedRuns, paired_test
from .result import Difference, VerdictT

ALPHA = 0.05
FEWEST_DOCS = 10


@dataclass(frozen=True)
class Pair:
    """A head's runs in two systems.

    head, system, baseline, split, metric (str): As in `Difference`.
    runs, baseline_runs (JudgedRuns | None): Those with a result; None if there is none, or the head can't count.
    scores, baseline_scores (Sequence[float | None]): The main score of each seed, None for failed runs.
    support (int): Number of docs with the head's gold.
    problem (str): Why there are no runs to test.
    """

    head: str
    system: str
    baseline: str
    split: str
    metric: str
    runs: JudgedRuns | None
    baseline_runs: JudgedRuns | None
    scores: Sequence[float | None]
    baseline_scores: Sequence[float | None]
    support: int
    problem: str = ""


def judge(pairs: Sequence[Pair], alpha: float = ALPHA) -> list[Difference]:
    """Test the heads of one comparison, such as joint training against each alone on test. Over all of them, the
    probability of any verdict "helped" or "hurt" without a true difference is at most `alpha`.
    """
    problems = [find_problem(pair) for pair in pairs]
    found = [None if problem else _test(pair) for pair, problem in zip(pairs, problems, strict=True)]
    tested = [estimate for estimate in found if estimate is not None]
    corrected = iter(holm([estimate.p for estimate in tested]))
    return [
        not_measured(pair, problem)
        if estimate is None
        else measured(pair, estimate, next(corrected), alpha=alpha, n_heads=len(tested))
        for pair, problem, estimate in zip(pairs, problems, found, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number (Holm 1979): the smallest of m is multiplied by m, the next one by m - 1, and
    so on; none gets smaller than the one before.
    """
    p, m = np.asarray(p_values, dtype="float64"), len(p_values)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(m)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(m, 0, -1)), 1.0)
    return [float(value) for value in corrected]


def find_problem(pair: Pair) -> str:
    """Why a head can't be tested; empty if it can."""
    if pair.problem or pair.runs is None or pair.baseline_runs is None:
        return pair.problem or "no run of one of the systems has finished"
    both = (pair.runs, pair.baseline_runs)
    if pair.runs.counts.shape[1] != pair.baseline_runs.counts.shape[1]:
        sizes = " and ".join(str(runs.counts.shape[1]) for runs in both)
        return f"the systems were not judged on the same docs: {sizes}"
    if pair.support < FEWEST_DOCS:
        return f"only {pair.support} docs of {pair.split} have gold, a test needs {FEWEST_DOCS}"
    if not all(np.isfinite(runs.scores).all() for runs in both):
        return f"{pair.metric} has no value in one of the runs"
    if not all(np.isfinite(runs.effects).all() for runs in both):
        return f"{pair.metric} has no value without one of the docs, so all of it depends on that one"
    return ""


def not_measured(pair: Pair, problem: str) -> Difference:
    """The result of a head that could not be tested."""
    return _difference(pair, None, None, None, "not measured", problem)


def measured(pair: Pair, estimate: Estimate, p_corrected: float, *, alpha: float, n_heads: int) -> Difference:
    """The result of a head that was tested."""
    verdict: VerdictT = "no difference shown"
    if p_corrected <= alpha:
        verdict = "helped" if estimate.value > 0 else "hurt"
    detectable = smallest_detectable(estimate, alpha / n_heads)
    return _difference(pair, estimate, p_corrected, detectable, verdict, find_reason(estimate, p_corrected, alpha))


def find_reason(estimate: Estimate, p_corrected: float, alpha: float) -> str:
    """What a reader of the verdict should know."""
    reasons = []
    if estimate.df_seeds == 0:
        reasons.append(
            "one seed: only docs vary, so the verdict is about these two trained pipelines, not about training"
        )
    if estimate.p <= alpha < p_corrected:
        reasons.append("the difference would be shown for this head alone, but not among all heads that were tested")
    return "; ".join(reasons)


def _test(pair: Pair) -> Estimate:
    assert pair.runs is not None
    assert pair.baseline_runs is not None
    return paired_test(pair.runs, pair.baseline_runs)


def _difference(
    pair: Pair,
    estimate: Estimate | None,
    p_corrected: float | None,
    detectable: float | None,
    verdict: VerdictT,
    reason: str,
) -> Difference:
    low, high = (None, None) if estimate is None else estimate.interval()
    return Difference(
        head=pair.head,
        system=pair.system,
        baseline=pair.baseline,
        split=pair.split,
        metric=pair.metric,
        scores=list(pair.scores),
        baseline_scores=list(pair.baseline_scores),
        difference=None if estimate is None else estimate.value,
        low=low,
        high=high,
        p=None if estimate is None else estimate.p,
        p_corrected=p_corrected,
        detectable=detectable,
        verdict=verdict,
        reason=reason,
        support=pair.support,
    )
