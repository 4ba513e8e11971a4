"""The bargaining solution: by hand, and its equation."""

import numpy as np
import pytest
from balancing import merge, random_gramians

from spacy_mtl.weightings.nash_mtl import find_bargain, make_nash_mtl_v1


def test_two_heads_by_hand():
    """Of orthogonal gradients a is as 1 / |g|: 1/5 and 1."""
    assert merge(make_nash_mtl_v1(), {"a": [5.0, 0.0], "b": [0.0, 1.0]}) == pytest.approx([5 / 3, 5 / 3])


def test_two_heads_at_an_angle_by_hand():
    """G = [[1, 1], [1, 2]]: a² + ab = 1 and ab + 2b² = 1, so a = √2 b: as √2 to 1."""
    assert find_bargain(np.array([[1.0, 1.0], [1.0, 2.0]]), np.ones(2)) == pytest.approx(
        np.array([np.sqrt(2), 1.0]) / np.sqrt(2 + np.sqrt(2))
    )


def test_three_heads_by_hand_with_bargaining_power():
    """a is as √w / |g|: 2/5, 1 and 1/2, of 1.9; the weights add up to 6."""
    gradients = {"a": [5.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "c": [0.0, 0.0, 2.0]}
    assert merge(make_nash_mtl_v1({"a": 4.0}), gradients) == pytest.approx(np.array([2.0, 1.0, 1.0]) * 6 / 1.9)


def test_its_equation_holds():
    for gramian in random_gramians(independent=True):
        gramian = gramian / gramian.diagonal().mean()
        power = np.random.default_rng(0).uniform(0.2, 3.0, size=len(gramian))
        a = find_bargain(gramian, power)
        assert a.min() > 0
        assert gramian @ a == pytest.approx(power / a, rel=1e-5)


def test_scaled_losses_change_nothing():
    for gramian in random_gramians(independent=True):
        scale = np.random.default_rng(1).uniform(0.2, 5.0, size=len(gramian))
        ones = np.ones(len(gramian))
        other = find_bargain(gramian * np.outer(scale, scale), ones)
        assert other * scale == pytest.approx(find_bargain(gramian, ones), rel=1e-5)
