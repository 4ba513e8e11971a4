"""Projections onto the cone of directions in which no loss rises: by hand, and what they promise."""

import numpy as np
import pytest
from balancing import merge, random_gramians

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.upgrad import make_upgrad_v1


def test_two_heads_by_hand():
    """p_a = (1, 0) + 1/2 (-1, 1), p_b = (-1, 1) + (1, 0)."""
    gradients = {"a": [1.0, 0.0], "b": [-1.0, 1.0]}
    assert merge(make_upgrad_v1(), gradients) == pytest.approx([0.5, 1.5])
    assert merge(make_upgrad_v1({"b": 2.0}), gradients) == pytest.approx([0.5, 2.5])


def test_three_heads_by_hand():
    """Directions (x, y) with x >= |y| / 2 conflict with none: (1, 0) is one, (-1, 2) projects to 0, (-1, -2) too."""
    gradients = {"a": [1.0, 0.0], "b": [1.0, 2.0], "c": [1.0, -2.0]}
    p_b = np.array([2.0, 1.0]) * 4 / 5
    assert merge(make_upgrad_v1(), gradients) == pytest.approx([1.0 + 2 * p_b[0], 0.0])


def test_no_loss_rises():
    for gramian in random_gramians():
        factors = make_upgrad_v1().solve(gramian, np.ones(len(gramian)), Step(0))
        scale = np.abs(gramian).max() * np.abs(factors).max()
        assert (gramian @ factors).min() > -1e-7 * scale


def test_without_conflicts_it_is_the_sum():
    rows = np.abs(np.random.default_rng(0).normal(size=(4, 9)))
    assert make_upgrad_v1().solve(rows @ rows.T, np.array([1.0, 2.0, 1.0, 0.5]), Step(0)) == pytest.approx(
        [1, 2, 1, 0.5]
    )
