"""Gradient reversal against the formula of the paper."""

import math

import numpy as np
import pytest
from thinc.api import Ragged

from spacy_mtl.heads.domain_adversary.gradient_reversal import current_lambda, gradient_reversal

X = Ragged(np.ones((3, 2), dtype="f"), np.array([1, 2], dtype="i"))


def test_lambda_grows_as_in_the_paper():
    layer = gradient_reversal(total_steps=4, gamma=10.0, max_lambda=0.5)
    expected = [0.5 * (2 / (1 + math.exp(-10 * p)) - 1) for p in (0, 0.25, 0.5, 0.75, 1.0, 1.0)]
    found = []
    for _ in expected:
        found.append(current_lambda(layer))
        layer.begin_update(X)[1](X)
    assert found == pytest.approx(expected)
    assert found[0] == 0.0


def test_one_total_step_gives_a_constant():
    layer = gradient_reversal(total_steps=1, gamma=10.0, max_lambda=0.3)
    layer.begin_update(X)[1](X)
    assert current_lambda(layer) == pytest.approx(0.3, rel=1e-4)


def test_forward_is_the_identity_and_backprop_reverses():
    layer = gradient_reversal(total_steps=10, gamma=10.0, max_lambda=1.0)
    layer.attrs["step"] = 3
    Y, backprop = layer.begin_update(X)
    assert Y is X
    factor = -current_lambda(layer)
    gradient = backprop(Ragged(X.dataXd * 2.0, X.lengths))
    assert gradient.dataXd == pytest.approx(2.0 * factor * X.dataXd)
    assert factor < -0.8


def test_only_backprop_counts_and_the_count_is_saved():
    layer = gradient_reversal(total_steps=10, gamma=10.0, max_lambda=1.0)
    layer.predict(X)
    _, backprop = layer.begin_update(X)
    assert layer.attrs["step"] == 0
    backprop(X)
    loaded = gradient_reversal(total_steps=10, gamma=10.0, max_lambda=1.0).from_bytes(layer.to_bytes())
    assert loaded.attrs["step"] == 1


def test_running_backward_again_is_the_same_step():
    layer = gradient_reversal(total_steps=10, gamma=10.0, max_lambda=1.0)
    layer.attrs["step"] = 3
    _, backprop = layer(X, is_train=True)
    first, again = backprop(X).dataXd, backprop(X).dataXd
    assert np.array_equal(first, again)
    assert layer.attrs["step"] == 4
