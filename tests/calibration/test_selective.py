"""The risk of the docs of which a head is most certain."""

import numpy as np
import pytest
from scipy.stats import beta

from spacy_mtl.calibration.selective import N_SHARES, RiskPoint, least_confidence, risk_curve


def test_by_hand():
    confidences = np.linspace(1.0, 0.05, 20)
    correct = np.array([True] * 10 + [False] * 10)
    points = risk_curve(confidences, correct)
    assert [point.share for point in points] == pytest.approx(np.arange(1, 21) / 20)
    assert [point.risk for point in points] == pytest.approx([0.0] * 10 + [k / (10 + k) for k in range(1, 11)])
    assert points[11].confidence == pytest.approx(confidences[11])
    assert points[11].bound == pytest.approx(beta.ppf(1 - 0.05 / N_SHARES, 3, 10))


def test_docs_with_one_confidence_are_taken_together():
    points = risk_curve(np.array([0.9] * 50 + [0.5] * 50), np.array([True] * 50 + [False] * 50))
    assert [(point.share, point.risk) for point in points] == [(0.5, 0.0), (1.0, 0.5)]


def test_threshold_for_a_risk():
    points = [RiskPoint(0.5, 0.9, 0.0, 0.04), RiskPoint(0.7, 0.8, 0.02, 0.06), RiskPoint(1.0, 0.2, 0.1, 0.14)]
    assert least_confidence(points, 0.05) == 0.9
    assert least_confidence(points, 0.1) == 0.8
    assert least_confidence(points, 0.2) == 0.2
    assert least_confidence(points, 0.01) is None


def test_the_bound_holds_by_simulation():
    """With a probability of 95 % the risk of new docs is within the bound at the chosen threshold."""
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(200):
        confidences = rng.random(300)
        points = risk_curve(confidences, rng.random(300) < confidences)
        threshold = least_confidence(points, 0.2)
        if threshold is not None:
            broken += (1 - threshold) / 2 > 0.2  # the true risk of docs with at least this confidence
    assert broken <= 10
