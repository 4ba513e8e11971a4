"""The shortest combination: by hand, and against the corners, edges and insides of the simplex."""

import itertools

import numpy as np
import pytest
from balancing import merge, random_gramians

from spacy_mtl.weightings.mgda import find_shortest, make_mgda_v1


def test_two_heads_by_hand():
    """(0.4, 0.8) is where the line from (2, 0) to (0, 1) is nearest to 0."""
    assert merge(make_mgda_v1(), {"a": [2.0, 0.0], "b": [0.0, 1.0]}) == pytest.approx([0.8, 1.6])


def test_three_heads_by_hand():
    """Shares of orthogonal gradients are as 1 / |g|²: 2/3, 1/6, 1/6."""
    gradients = {"a": [1.0, 0.0, 0.0], "b": [0.0, 2.0, 0.0], "c": [0.0, 0.0, 2.0]}
    assert merge(make_mgda_v1(), gradients) == pytest.approx([2.0, 1.0, 1.0])


def test_a_short_gradient_inside_takes_all():
    assert merge(make_mgda_v1(), {"a": [1.0, 0.0], "b": [5.0, 1.0]}) == pytest.approx([2.0, 0.0])


def test_nothing_on_the_simplex_is_shorter():
    """Brute force: the minimum on each face is where a linear system says, if that is on the face."""
    for gramian in random_gramians(independent=True):
        m = len(gramian)
        best = np.inf
        for size in range(1, m + 1):
            for face in map(list, itertools.combinations(range(m), size)):
                shares = np.linalg.solve(gramian[np.ix_(face, face)], np.ones(size))
                shares /= shares.sum()
                if shares.min() >= 0:
                    best = min(best, shares @ gramian[np.ix_(face, face)] @ shares)
        found = find_shortest(gramian / gramian.diagonal().mean())
        assert found.min() >= 0
        assert found.sum() == pytest.approx(1.0)
        assert found @ gramian @ found == pytest.approx(best, rel=1e-6)


def test_no_loss_rises():
    for gramian in random_gramians():
        gramian = gramian / gramian.diagonal().mean()
        found = find_shortest(gramian)
        assert (gramian @ found).min() > found @ gramian @ found - 1e-7
