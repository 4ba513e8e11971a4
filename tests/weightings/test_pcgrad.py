"""Projections of pairs: by hand, and what they promise."""

import numpy as np
import pytest
from balancing import merge

from spacy_mtl.weightings.pcgrad import make_pcgrad_v1, project_pairwise


def test_two_heads_by_hand():
    """p_a = (1, 0) + 1/2 (-1, 1), p_b = (-1, 1) + (1, 0)."""
    gradients = {"a": [1.0, 0.0], "b": [-1.0, 1.0]}
    assert merge(make_pcgrad_v1(), gradients) == pytest.approx([0.5, 1.5])
    assert merge(make_pcgrad_v1({"b": 2.0}), gradients) == pytest.approx([0.5, 2.5])


def test_three_heads_by_hand():
    """The third agrees with both."""
    gradients = {"a": [1.0, 0.0, 0.0], "b": [-1.0, 1.0, 0.0], "c": [0.0, 0.0, 2.0]}
    assert merge(make_pcgrad_v1(), gradients) == pytest.approx([0.5, 1.5, 2.0])


def test_the_order_counts_and_is_that_of_the_step():
    """Of three gradients in a plane, each in conflict with both others: the first has two ways to be projected."""
    rows = np.array([[1.0, 0.0], [-0.5, 1.0], [-0.2, -1.0]])
    gradients = dict(zip("abc", rows, strict=True))
    first, second = (project_pairwise(rows @ rows.T, [order, [0, 2], [0, 1]]) for order in ([1, 2], [2, 1]))
    p = rows[0] + 0.5 / 1.25 * rows[1]
    assert first[0] @ rows == pytest.approx(p - min(p @ rows[2], 0) / 1.04 * rows[2])
    assert not np.allclose(first[0], second[0])
    found = [merge(make_pcgrad_v1(), gradients, number=number) for number in range(12)]
    again = [merge(make_pcgrad_v1(), gradients, number=number) for number in range(12)]
    assert np.array_equal(found, again)
    assert len({tuple(np.round(one, 4)) for one in found}) > 1


def test_two_heads_never_conflict_with_the_update():
    for seed in range(50):
        rows = np.random.default_rng(seed).normal(size=(2, 5)).astype("f")
        update = merge(make_pcgrad_v1(), dict(zip("ab", rows, strict=True)))
        assert (rows @ update).min() > -1e-5
