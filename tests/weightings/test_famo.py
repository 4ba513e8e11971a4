"""All losses fall at one rate: by hand, and on a problem of two scales."""

import math

import pytest

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.famo import make_famo_v1


def softmax(x):
    total = sum(map(math.exp, x))
    return [math.exp(value) / total for value in x]


def test_two_heads_by_hand():
    """z is 1/2 for both: factors are as 1 / L. Then a has fallen by log 2 and b not at all."""
    weighting = make_famo_v1({"b": 3.0}, learn_rate=0.5, weight_decay=0.1)
    assert weighting.weights({"a": 2.0, "b": 0.5}, Step(0)) == pytest.approx({"a": 0.4, "b": 3 * 1.6})
    slope = 0.5 * 0.5 * math.log(2)
    x = -0.5 * slope, 0.5 * slope
    z = softmax(x)
    found = weighting.weights({"a": 1.0, "b": 0.5}, Step(1))
    total = z[0] + z[1] / 0.5
    assert found == pytest.approx({"a": 2 * z[0] / total, "b": 3 * 2 * z[1] / 0.5 / total})
    weighting.weights({"a": 1.0, "b": 0.5}, Step(2))
    assert weighting.logits == pytest.approx({"a": x[0] * 0.95, "b": x[1] * 0.95})


def test_three_heads_by_hand():
    """c has no gold in the second step, and its x does not move."""
    weighting = make_famo_v1(learn_rate=1.0, weight_decay=0.0)
    found = weighting.weights({"a": 1.0, "b": 2.0, "c": 4.0}, Step(0))
    assert found == pytest.approx({"a": 12 / 7, "b": 6 / 7, "c": 3 / 7})
    weighting.weights({"a": 1.0, "b": 1.0}, Step(1))
    assert weighting.logits == pytest.approx({"a": 0.25 * math.log(2), "b": -0.25 * math.log(2)})


def test_a_loss_of_zero_and_losses_of_all_sizes():
    weighting = make_famo_v1()
    for number, loss in enumerate([0.0, 1e-300, 1e300, 0.0]):
        found = weighting.weights({"a": loss, "b": 1.0}, Step(number))
        assert all(math.isfinite(value) for value in found.values())
        assert sum(found.values()) == pytest.approx(2.0)


@pytest.mark.parametrize("option", ["learn_rate", "weight_decay"])
def test_settings_that_make_no_sense(option):
    with pytest.raises(ValueError, match=rf"FAMO\.v1: {option} is -1.0; it must be at least 0"):
        make_famo_v1(**{option: -1.0})
