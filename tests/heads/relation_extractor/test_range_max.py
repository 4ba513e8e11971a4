"""Maxima over ranges against plain loops, and their gradients against finite differences."""

import numpy as np
import pytest

from spacy_mtl.heads.relation_extractor.range_max import range_max


def draw(seed, n_rows=23, n_ranges=60):
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n_rows + 1, n_ranges)
    ends = np.minimum(starts + rng.integers(-2, n_rows, n_ranges), n_rows)
    return rng.normal(size=(n_rows, 5)).astype("f"), starts, ends


@pytest.mark.parametrize("is_train", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_maxima_are_those_of_a_loop(seed, is_train):
    X, starts, ends = draw(seed)
    Y, _ = range_max(X, starts, ends, is_train=is_train)
    for row, start, end in zip(Y, starts, ends, strict=True):
        assert np.array_equal(row, X[start:end].max(axis=0) if end > start else np.zeros(5))


def test_gradients_go_to_the_largest_numbers():
    X, starts, ends = draw(0)
    Y, backprop = range_max(X, starts, ends, is_train=True)
    dY = np.random.default_rng(1).normal(size=Y.shape).astype("f")
    expected = np.zeros_like(X)
    for gradient, start, end in zip(dY, starts, ends, strict=True):
        for column in range(5 if end > start else 0):
            expected[start + X[start:end, column].argmax(), column] += gradient[column]
    assert backprop(dY) == pytest.approx(expected, abs=1e-5)


def test_equal_numbers_share_one_gradient():
    X = np.ones((7, 2), dtype="f")
    Y, backprop = range_max(X, np.array([0, 1]), np.array([7, 4]), is_train=True)
    gradient = backprop(np.ones_like(Y))
    assert gradient.sum(axis=0).tolist() == [2.0, 2.0]
    assert (gradient >= 0).all()


def test_no_ranges_and_no_rows():
    X = np.ones((3, 2), dtype="f")
    none = np.zeros(0, dtype="int64")
    for rows in (X, X[:0]):
        Y, backprop = range_max(rows, none, none, is_train=True)
        assert Y.shape == (0, 2)
        assert not backprop(Y).any()
    Y, backprop = range_max(X[:0], np.array([0]), np.array([0]), is_train=True)
    assert not Y.any()
    assert backprop(Y).shape == (0, 2)
