"""Random weights: softmax of normal numbers, the same in each run."""

import numpy as np
import pytest

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.rlw import make_rlw_v1

LOSSES = {"a": 4.0, "b": 2.0, "c": 1.0}


def test_by_hand():
    exp = np.exp(np.random.default_rng([5, 3]).normal(size=3))
    weighting = make_rlw_v1({"c": 2.0}, seed=5)
    found = weighting.weights(LOSSES, Step(3))
    assert list(found.values()) == pytest.approx(3 * exp / exp.sum() * [1.0, 1.0, 2.0])


def test_each_step_and_each_seed_draws_anew_with_a_mean_of_one():
    found = [make_rlw_v1(seed=seed).weights(LOSSES, Step(step)) for seed in range(3) for step in range(3)]
    assert len({tuple(weights.values()) for weights in found}) == 9
    assert all(sum(weights.values()) == pytest.approx(3.0) for weights in found)
