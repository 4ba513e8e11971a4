"""MMoE against its formula."""

import numpy as np
import pytest
from thinc.api import Ragged, fix_random_seed

from spacy_mtl.protocols.sharing import SharingInput
from spacy_mtl.sharing.mmoe import make_mmoe_v1


def make_layer(X, **settings):
    fix_random_seed(0)
    layer = make_mmoe_v1(**settings)
    layer.attrs["heads"] = ["one", "two"]
    layer.initialize(as_input(X))
    return layer


def as_input(X):
    X = np.array(X, dtype="f")
    return SharingInput([], Ragged(X, np.array([len(X)], dtype="i")))


def test_two_heads_by_hand():
    """One token (1, 2), two experts of width 1: relu(1*1 + 1*2 - 1) = 2 and relu(2*1 + 1*2 + 0) = 4. The gates' logits
    are (0, 0) for one head and (0, log 3) for the other, so the views are 3 and (2 + 3 * 4) / 4 = 3.5.
    """
    layer = make_layer([[1, 2]], n_experts=2, width=1)
    layer.set_param("experts/W", np.array([[[1], [1]], [[2], [1]]], dtype="f"))
    layer.set_param("experts/b", np.array([[-1], [0]], dtype="f"))
    layer.set_param("two/gate", np.array([[0, 0], [np.log(3), 0]], dtype="f"))
    views, backprop = layer.begin_update(as_input([[1, 2]]))
    assert views["one"].dataXd == pytest.approx(np.array([[3.0]]))
    assert views["two"].dataXd == pytest.approx(np.array([[3.5]]))
    # of the first head: half of both experts' weights; its gate is at a mix of equals, so 1/4 * (2 - 4) for (1, 2)
    d_tokvecs = backprop({"one": Ragged(np.ones((1, 1), dtype="f"), np.array([1], dtype="i"))}).tokvecs.dataXd
    assert d_tokvecs == pytest.approx(np.array([[1.5, 1.0]]))
    assert layer.get_grad("one/gate") == pytest.approx(np.array([[-0.5, -1.0], [0.5, 1.0]]))
    assert layer.get_grad("experts/b") == pytest.approx(np.array([[0.5], [0.5]]))
    assert not layer.has_grad("two/gate")


def test_one_expert_is_a_dense_layer_that_all_share():
    X = np.random.default_rng(0).normal(size=(9, 6)).astype("f")
    layer = make_layer(X, n_experts=1, width=4)
    layer.set_param("two/gate", layer.get_param("two/gate") + 3.0)
    expected = np.maximum(X @ layer.get_param("experts/W")[0] + layer.get_param("experts/b")[0], 0)
    for view in layer.predict(as_input(X)).values():
        assert view.dataXd == pytest.approx(expected, abs=1e-6)


def test_new_gates_mix_all_experts_alike():
    X = np.random.default_rng(0).normal(size=(9, 6)).astype("f")
    layer = make_layer(X, n_experts=3, width=4)
    W, b = layer.get_param("experts/W"), layer.get_param("experts/b")
    expected = np.mean([np.maximum(X @ W[e] + b[e], 0) for e in range(3)], axis=0)
    views = layer.predict(as_input(X))
    assert views["one"].dataXd == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(views["one"].dataXd, views["two"].dataXd)


def test_number_of_parameters_is_as_documented():
    layer = make_layer(np.zeros((1, 6)), n_experts=3, width=4)
    assert sum(layer.get_param(name).size for name in layer.param_names) == 3 * (6 + 1) * 4 + 2 * 3 * 6


@pytest.mark.parametrize("name", ["n_experts", "width"])
def test_refused(name):
    with pytest.raises(ValueError, match=f"MMoE: {name} is 0"):
        make_mmoe_v1(**{name: 0})
