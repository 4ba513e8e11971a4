"""The small quadratic program: its conditions hold, also where gradients depend on each other."""

import numpy as np
import pytest
from balancing import random_gramians

from spacy_mtl.balance.nonnegative_qp import minimize_nonnegative


def test_by_hand():
    """Without the bound x would be (-1, 2)."""
    assert minimize_nonnegative(np.eye(2), np.array([1.0, -2.0])) == pytest.approx([0.0, 2.0])
    assert minimize_nonnegative(np.eye(2), np.ones(2)) == pytest.approx([0.0, 0.0])


@pytest.mark.parametrize("independent", [True, False])
def test_slopes_are_zero_where_x_is_free_and_not_negative_elsewhere(independent):
    for gramian in random_gramians(200, independent=independent):
        gramian = gramian / gramian.diagonal().mean()
        x = minimize_nonnegative(gramian, gramian[0] - 0.5 * gramian[-1])
        slope = gramian @ x + gramian[0] - 0.5 * gramian[-1]
        scale = np.abs(gramian).max() * max(1.0, x.max())
        assert x.min() >= 0
        assert slope.min() > -1e-7 * scale
        assert np.abs(slope[x > 0]).max(initial=0.0) < 1e-7 * scale
