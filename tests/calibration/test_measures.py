"""Calibration measures against values by hand."""

import numpy as np
import pytest

from spacy_mtl.calibration.measures import measure


class Decisions:
    """Evidence of given probabilities."""

    unit = "docs"

    def __init__(self, probabilities, correct):
        self.docs, self.correct = np.arange(len(correct)), np.array(correct, dtype=bool)
        self._probabilities = np.array(probabilities, dtype="d")

    def probabilities(self, temperature):
        return self._probabilities

    def losses(self, temperature):
        return -np.log(np.where(self.correct, self._probabilities, 1 - self._probabilities))


def test_by_hand():
    found = measure([Decisions([0.95, 0.97, 0.5, 0.52], [True, False, True, True])], 1.0)
    # 0.95 and 0.97 are in the last of 15 bins, 0.5 and 0.52 in the eighth
    assert [(one.n, one.accuracy) for one in found.bins] == [(2, 1.0), (2, 0.5)]
    assert found.bins[1].confidence == pytest.approx(0.96)
    assert found.ece == pytest.approx(0.5 * (1.0 - 0.51) + 0.5 * (0.96 - 0.5))
    assert found.adaptive_ece == pytest.approx((0.05 + 0.97 + 0.5 + 0.48) / 4)  # a bin for each
    assert found.brier == pytest.approx((0.05**2 + 0.97**2 + 0.5**2 + 0.48**2) / 4)
    assert found.nll == pytest.approx(-np.mean(np.log([0.95, 0.03, 0.5, 0.52])))
    assert (found.n, found.accuracy) == (4, 0.75)


def test_a_probability_of_one_is_in_the_last_bin():
    found = measure([Decisions([1.0, 0.0], [True, False])], 1.0)
    assert (found.ece, len(found.bins)) == (0.0, 2)


def test_batches_count_together():
    rng = np.random.default_rng(0)
    probabilities, correct = rng.random(100), rng.random(100) < 0.5
    parts = [Decisions(probabilities[:30], correct[:30]), Decisions(probabilities[30:], correct[30:])]
    assert measure(parts, 1.0).ece == measure([Decisions(probabilities, correct)], 1.0).ece


def test_right_probabilities_have_the_error_of_chance():
    rng = np.random.default_rng(1)
    probabilities = rng.random(2000)
    errors, by_chance = [], []
    for _ in range(30):
        found = measure([Decisions(probabilities, rng.random(2000) < probabilities)], 1.0)
        errors.append(found.ece)
        by_chance.append(found.ece_by_chance)
    assert np.mean(errors) == pytest.approx(np.mean(by_chance), rel=0.2)


def test_nothing_decided():
    assert measure([Decisions([], [])], 1.0) is None
