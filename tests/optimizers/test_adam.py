"""spacy_mtl.Adam.v1 takes the same steps as thinc's Adam."""

import copy

import numpy as np
import pytest
import spacy
from numpy.testing import assert_allclose
from thinc.api import Adam as ThincAdam
from thinc.api import registry, warmup_linear

from spacy_mtl.optimizers import adam as adam_module
from spacy_mtl.optimizers.adam import make_adam_v1
from spacy_mtl.optimizers.grouped import make_optimizer_v1

SETTINGS = [
    {},
    {"L2": 0.1},
    {"L2": 0.1, "L2_is_weight_decay": False},
    {"grad_clip": 0.0},
    {"grad_clip": 0.5, "beta1": 0.8, "beta2": 0.99, "eps": 1e-4},
    {"use_averages": True, "L2": 0.1},
]


@pytest.fixture(params=[True, False], ids=["fused", "thinc"])
def fused(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(adam_module, "has_torch", False)
    else:
        pytest.importorskip("torch")
    return request.param


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_takes_the_steps_of_thinc(settings, fused):
    settings = {"use_averages": False, **settings}
    theirs, ours = (make(warmup_linear(0.01, 10, 100), **settings) for make in (ThincAdam, make_adam_v1))
    rng = np.random.default_rng(0)
    expected = rng.normal(size=(50, 7)).astype("f")
    weights = expected.copy()
    assert adam_module.can_fuse(weights, weights) == fused
    for step in range(100):
        gradient = rng.normal(size=weights.shape).astype("f") * (3 if step % 3 else 0.001)
        gradient[: step % 50] = 0.0
        for optimizer, array in ((theirs, expected), (ours, weights)):
            mine = gradient.copy()
            optimizer((1, "W"), array, mine)
            optimizer.step_schedules()
            assert not mine.any()
    assert_allclose(weights, expected, rtol=1e-4, atol=1e-5)
    if settings["use_averages"]:
        assert_allclose(ours.averages[(1, "W")], theirs.averages[(1, "W")], rtol=1e-4, atol=1e-5)


def test_is_registered():
    spacy.blank("en")
    config = {"optimizer": {"@optimizers": "spacy_mtl.Adam.v1", "learn_rate": 0.1}}
    optimizer = registry.resolve(config)["optimizer"]
    assert isinstance(optimizer, adam_module.Adam)
    assert optimizer.learn_rate == 0.1


def test_an_array_that_is_not_contiguous_is_updated_too():
    theirs, ours = (make(0.01, use_averages=False) for make in (ThincAdam, make_adam_v1))
    expected, weights = np.ones((4, 6), dtype="f"), np.ones((6, 4), dtype="f").T
    for optimizer, array in ((theirs, expected), (ours, weights)):
        result, _ = optimizer((1, "W"), array, np.full((4, 6), 0.5, dtype="f"))
        array[...] = result
    assert_allclose(weights, expected)


def test_a_copied_optimizer_moves_its_own_moments():
    torch = pytest.importorskip("torch")
    ours = make_adam_v1(0.01, use_averages=True)
    theirs = make_adam_v1(0.01, use_averages=True)
    weights = {id(one): np.ones((3, 4), dtype="f") for one in (ours, theirs)}

    def step(optimizer, array):
        param = torch.from_numpy(array)
        param.grad = torch.full((3, 4), 0.5)
        optimizer.step_together({(1, "W"): param})

    step(ours, weights[id(ours)])
    copied = copy.deepcopy(ours)
    step(theirs, weights[id(theirs)])
    step(theirs, weights[id(theirs)])
    step(copied, weights[id(ours)])
    assert_allclose(copied.averages[(1, "W")], theirs.averages[(1, "W")])
    assert_allclose(copied.mom1[(1, "W")], theirs.mom1[(1, "W")])


@pytest.mark.parametrize("settings", [{}, {"beta1": 0.0, "beta2": 0.0}], ids=str)
def test_the_factor_of_a_group_counts_once(settings):
    torch = pytest.importorskip("torch")
    group = {"all": {"pattern": "W", "learn_rate_factor": 0.1}}
    one_by_one, together = (make_optimizer_v1(0.05, group, **settings) for _ in range(2))
    expected = np.ones((3, 4), dtype="f")
    one_by_one((1, "W"), expected, np.full((3, 4), 0.1, dtype="f"))
    found = np.ones((3, 4), dtype="f")
    param = torch.from_numpy(found)
    param.grad = torch.full((3, 4), 0.1)
    together.step_together({(1, "W"): param})
    assert_allclose(found, expected)
