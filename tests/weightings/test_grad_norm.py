"""Weights that are led to balanced norms: by hand, and where they end."""

import numpy as np
import pytest
from balancing import merge

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.grad_norm import make_grad_norm_v1


def step(weighting, losses, norms, number=0):
    """The weights of a step whose losses have orthogonal gradients of these norms."""
    found = Step(number)
    weights = weighting.weights(losses, found)
    rows = {name: np.eye(len(norms), dtype="f")[i] * norms[name] * weights[name] for i, name in enumerate(norms)}
    found.last_layer = rows
    weighting.merge({name: row[None] for name, row in rows.items()}, found)
    return weights


def test_two_heads_by_hand():
    """Norms of 5 and 1, a goal of 3 for both: slopes of 5 and -1, relative to their mean of 3."""
    weighting = make_grad_norm_v1(learn_rate=0.3)
    assert step(weighting, {"a": 2.0, "b": 1.0}, {"a": 5.0, "b": 1.0}) == {"a": 1.0, "b": 1.0}
    moved = np.array([1 - 0.3 * 5 / 3, 1 + 0.3 * 1 / 3])
    assert list(weighting.learned.values()) == pytest.approx(2 * moved / moved.sum())


def test_three_heads_by_hand_whose_losses_lag():
    """Losses are 1, 1/2 and 1/2 of the first: r = 1.5, 0.75, 0.75. The goals are 4 * r, with N = 6, 2, 4."""
    weighting = make_grad_norm_v1(alpha=1.0, learn_rate=0.1)
    weighting.first = {"a": 1.0, "b": 2.0, "c": 4.0}
    step(weighting, {"a": 1.0, "b": 1.0, "c": 2.0}, {"a": 7.0, "b": 1.0, "c": 4.0})
    moved = np.array([1 - 0.1 * 7 / 4, 1 + 0.1 * 1 / 4, 1 - 0.1 * 4 / 4])
    assert list(weighting.learned.values()) == pytest.approx(3 * moved / moved.sum())


def test_norms_end_in_the_proportion_of_the_users_weights():
    weighting = make_grad_norm_v1({"b": 2.0}, alpha=0.0, learn_rate=0.01)
    weighting.bind(["a", "b"])
    norms = {"a": 5.0, "b": 1.0}
    for number in range(800):
        weights = step(weighting, {"a": 1.0, "b": 1.0}, norms, number)
    assert weights["b"] * norms["b"] / (weights["a"] * norms["a"]) == pytest.approx(2.0, rel=0.1)


def test_the_encoder_gets_the_sum():
    assert merge(make_grad_norm_v1({"b": 2.0}), {"a": [1.0, 0.0], "b": [0.0, 1.0]}) == pytest.approx([1.0, 2.0])


@pytest.mark.parametrize("option", ["alpha", "learn_rate"])
def test_settings_that_make_no_sense(option):
    with pytest.raises(ValueError, match=rf"GradNorm\.v1: {option} is -1.0; it must be at least 0"):
        make_grad_norm_v1(**{option: -1.0})
