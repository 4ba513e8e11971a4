"""Cross-stitch units against their formula."""

import numpy as np
import pytest
from thinc.api import Ragged, fix_random_seed

from spacy_mtl.protocols.sharing import SharingInput
from spacy_mtl.sharing.cross_stitch import make_cross_stitch_v1, pair, stitch_factors


def make_layer(X, heads=("one", "two"), **settings):
    fix_random_seed(0)
    layer = make_cross_stitch_v1(**settings)
    layer.attrs["heads"] = list(heads)
    layer.initialize(as_input(X))
    return layer


def as_input(X):
    X = np.array(X, dtype="f")
    return SharingInput([], Ragged(X, np.array([len(X)], dtype="i")))


def test_two_heads_by_hand():
    """One token (1,): columns relu(2 * 1) = 2 and relu(4 * 1 + 1) = 5, stitched 0.75 to 0.25."""
    layer = make_layer([[1]], own=0.75)
    for head, weight, bias in (("one", 2, 0), ("two", 4, 1)):
        layer.set_param(f"{head}/W", np.full((1, 1, 1), weight, dtype="f"))
        layer.set_param(f"{head}/b", np.full((1, 1), bias, dtype="f"))
    views, backprop = layer.begin_update(as_input([[1]]))
    assert views["one"].dataXd == pytest.approx(np.array([[2.75]]))
    assert views["two"].dataXd == pytest.approx(np.array([[4.25]]))
    d_tokvecs = backprop({"one": Ragged(np.ones((1, 1), dtype="f"), np.array([1], dtype="i"))}).tokvecs.dataXd
    assert d_tokvecs == pytest.approx(np.array([[0.75 * 2 + 0.25 * 4]]))
    assert layer.get_grad(pair("one", "two")) == pytest.approx(np.array([[5.0]]))
    assert not layer.get_grad(pair("two", "one")).any()
    assert layer.get_grad("two/W") == pytest.approx(np.array([[[0.25]]]))


def test_columns_with_an_identity_stitch_are_separate():
    X = np.random.default_rng(0).normal(size=(9, 5)).astype("f")
    layer = make_layer(X, depth=3, own=1.0)
    views, backprop = layer.begin_update(as_input(X))
    for head in ("one", "two"):
        h = X
        for W, b in zip(layer.get_param(f"{head}/W"), layer.get_param(f"{head}/b"), strict=True):
            h = np.maximum(h @ W + b, 0)
        assert views[head].dataXd == pytest.approx(h, abs=1e-5)
    backprop({"one": Ragged(np.ones_like(X), np.array([9], dtype="i"))})
    assert not layer.get_grad("two/W").any()
    assert layer.get_grad("one/W").any()


def test_factors_of_a_head_start_with_a_sum_of_one():
    layer = make_layer(np.zeros((1, 4)), heads=["a", "b", "c"], own=0.8)
    factors = stitch_factors(layer)
    assert factors["b"] == pytest.approx({"a": 0.1, "b": 0.8, "c": 0.1})
    assert stitch_factors(make_layer(np.zeros((1, 4)), heads=["a"], own=0.8)) == {"a": {"a": 1.0}}


def test_number_of_parameters_is_as_documented():
    layer = make_layer(np.zeros((1, 6)), depth=2)
    assert sum(layer.get_param(name).size for name in layer.param_names) == 2 * (2 * (6 + 1) * 6 + 2 * 2 * 6)


def test_refused():
    with pytest.raises(ValueError, match="CrossStitch: depth is 0"):
        make_cross_stitch_v1(depth=0)
    for own in (-0.1, 1.1):
        with pytest.raises(ValueError, match="CrossStitch: own is"):
            make_cross_stitch_v1(own=own)
