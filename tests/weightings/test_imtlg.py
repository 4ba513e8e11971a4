"""The same projection on every gradient: by hand, and what it promises."""

import numpy as np
import pytest
from balancing import merge, random_gramians

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.imtlg import make_imtlg_v1


def test_two_heads_by_hand():
    """Norms of 5 and 1: factors are as 1/5 to 1."""
    assert merge(make_imtlg_v1(), {"a": [5.0, 0.0], "b": [0.0, 1.0]}) == pytest.approx([5 / 3, 5 / 3])


def test_three_heads_by_hand():
    """Norms of 5, 1 and 2: 1/5 + 1 + 1/2 = 1.7."""
    gradients = {"a": [5.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "c": [0.0, 0.0, 2.0]}
    assert merge(make_imtlg_v1(), gradients) == pytest.approx([3 / 1.7] * 3)


def test_projections_are_equal():
    for gramian in random_gramians(independent=True):
        factors = make_imtlg_v1().solve(gramian, np.ones(len(gramian)), Step(0))
        projections = gramian @ factors / np.sqrt(gramian.diagonal())
        assert projections == pytest.approx(np.full(len(gramian), projections.mean()), rel=1e-6)
        assert factors.sum() == pytest.approx(len(gramian))
