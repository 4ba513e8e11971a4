"""Importance times data: by hand."""

import math

import pytest

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.importance import make_importance_v1


def weigh(weighting, **counts):
    return weighting.weights(dict.fromkeys(counts, 1.0), Step(0, count_units=lambda: counts))


def test_two_heads_by_hand():
    weighting = make_importance_v1({"a": 2.0})
    assert weigh(weighting, a=10, b=30) == pytest.approx({"a": 2 * 0.5, "b": 1.5})
    assert weigh(weighting, a=20, b=0) == pytest.approx({"a": 2 * 1.0, "b": 1.0})


def test_three_heads_by_hand():
    """c has gold in the second batch only."""
    weighting = make_importance_v1(power=-1.0)
    assert weigh(weighting, a=10, b=30) == pytest.approx({"a": 1.5, "b": 0.5})
    found = weigh(weighting, a=10, b=10, c=20)
    assert found == pytest.approx({"a": 3 * 0.4, "b": 3 * 0.2, "c": 3 * 0.4})


@pytest.mark.parametrize("power", [math.inf, math.nan])
def test_a_power_that_makes_no_sense(power):
    with pytest.raises(ValueError, match=r"Importance\.v1: power is .*must be a number"):
        make_importance_v1(power=power)
