"""Selective prediction: answer the docs of which a head is certain, and hand the others to a person.

El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification"; Geifman and El-Yaniv 2017,
"Selective Classification for Deep Neural Networks", for bounds on the risk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta
from spacy.language import Language

from ..protocols.arrays import BoolsT, FloatsT
from ..protocols.head_calibration import calibration_of
from ..readers.pipeline_heads import heads_of

N_SHARES = 20
# how sure it is that no bound is too low, all shares together
CERTAINTY = 0.95


@dataclass(frozen=True)
class RiskPoint:
    """The docs of which a head is most certain.

    share (float): Share of all docs.
    confidence (float): The least confidence among them.
    risk (float): Share of them whose annotation is wrong.
    bound (float): What the risk of new docs with at least this confidence does not exceed, with a probability of 95 %
        for all points together (Clopper-Pearson, Bonferroni).
    """

    share: float
    confidence: float
    risk: float
    bound: float


def risk_curve(confidences: FloatsT, correct: BoolsT) -> list[RiskPoint]:
    """Compute the risk at 5, 10, … 100 % of the docs. Docs with the same confidence are taken together.

    confidences, correct: (n_docs,), of docs that the temperature was not fitted on.
    """
    order = np.argsort(-confidences, kind="stable")
    ordered, wrong = confidences[order], np.cumsum(~correct[order])
    points: dict[float, RiskPoint] = {}
    for number in np.ceil(np.arange(1, N_SHARES + 1) / N_SHARES * len(ordered)).astype("int64").tolist():
        least = float(ordered[number - 1])
        n = int((ordered >= least).sum())
        errors = int(wrong[n - 1])
        bound = 1.0 if errors == n else float(beta.ppf(1 - (1 - CERTAINTY) / N_SHARES, errors + 1, n - errors))
        points[least] = RiskPoint(n / len(ordered), least, errors / n, bound)
    return list(points.values())


def least_confidence(points: Sequence[RiskPoint], risk: float) -> float | None:
    """Get the confidence from which the risk is at most so much, with a probability of 95 %; None if there is none."""
    good = [point.confidence for point in points if point.bound <= risk]
    return min(good, default=None)


def saved_curve(calibration: Mapping[str, Any]) -> list[RiskPoint]:
    """Read the curve of a head's calibration; empty if there is none."""
    return [RiskPoint(**point) for point in calibration.get("risk", ())]


def thresholds_of(nlp: Language, risk: float) -> dict[str, float]:
    """Get for each calibrated head the confidence from which the risk is at most so much, for `--threshold` of
    `mtl co-train` and `mtl distil`. Heads without such a confidence are left out.
    """
    curves = {key: saved_curve(calibration_of(head.model)) for key, head in heads_of(nlp.components).items()}
    found = {key: least_confidence(points, risk) for key, points in curves.items()}
    return {key: threshold for key, threshold in found.items() if threshold is not None}
