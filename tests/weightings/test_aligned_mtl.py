"""Orthogonal gradients of one length: by hand, and what they promise."""

import numpy as np
import pytest
from balancing import merge, random_gramians

from spacy_mtl.weightings.aligned_mtl import alignment, make_aligned_mtl_v1


def test_two_heads_by_hand():
    """The nearest rotation to [[1, 0], [1, 1]] is [[2, -1], [1, 2]] / √5, its least singular value (√5 - 1) / 2."""
    found = merge(make_aligned_mtl_v1(), {"a": [1.0, 0.0], "b": [1.0, 1.0]})
    assert found == pytest.approx(np.array([3.0, 1.0]) / np.sqrt(5) * (np.sqrt(5) - 1) / 2)


def test_three_heads_by_hand():
    """Orthogonal ones are shortened to the shortest, times the user's weights."""
    gradients = {"a": [5.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "c": [0.0, 0.0, 2.0]}
    assert merge(make_aligned_mtl_v1({"c": 3.0}), gradients) == pytest.approx([1.0, 1.0, 3.0])


def test_the_condition_number_is_one():
    for gramian in random_gramians(independent=True):
        B = alignment(gramian)
        aligned = B @ gramian @ B.T
        assert np.linalg.cond(aligned) == pytest.approx(1.0, abs=1e-6)
        assert aligned[0, 0] == pytest.approx(np.linalg.eigvalsh(gramian)[0])
