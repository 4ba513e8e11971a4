"""Layer normalisation against its definition and finite differences."""

import numpy as np
import pytest

from spacy_mtl.layers.layer_norm import layer_norm


def test_rows_have_mean_0_and_variance_1():
    X = np.random.default_rng(0).normal(size=(4, 50), loc=3.0, scale=2.0)
    Y, _ = layer_norm(X)
    assert Y.mean(axis=1) == pytest.approx(np.zeros(4), abs=1e-9)
    assert Y.var(axis=1) == pytest.approx(np.ones(4), rel=1e-4)
    assert layer_norm(np.zeros((0, 5)))[0].shape == (0, 5)


def test_gradient_equals_finite_differences():
    rng = np.random.default_rng(0)
    X, dY, direction = (rng.normal(size=(3, 6)) for _ in range(3))
    gradient = layer_norm(X)[1](dY)
    ends = [(layer_norm(X + sign * 1e-5 * direction)[0] * dY).sum() for sign in (1, -1)]
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx((gradient * direction).sum(), rel=1e-6)
