"""PLE, and CGC as its one-level case, against their formulas."""

import numpy as np
import pytest
from thinc.api import Ragged, fix_random_seed

from spacy_mtl.protocols.sharing import SharingInput
from spacy_mtl.sharing.ple import make_ple_v1

HEADS = ["one", "two"]


def make_layer(X, **settings):
    """An initialised layer, all of whose parameters are random."""
    fix_random_seed(0)
    layer = make_ple_v1(**settings)
    layer.attrs["heads"] = HEADS
    layer.initialize(as_input(X))
    rng = np.random.default_rng(0)
    for name in layer.param_names:
        weights = layer.get_param(name)
        layer.set_param(name, weights + rng.normal(size=weights.shape).astype("f"))
    return layer


def as_input(X):
    X = np.array(X, dtype="f")
    return SharingInput([], Ragged(X, np.array([len(X)], dtype="i")))


def experts(layer, name, X):
    W, b = layer.get_param(f"{name}/W"), layer.get_param(f"{name}/b")
    return [np.maximum(X @ W[e] + b[e], 0) for e in range(len(W))]


def mix(G, X, found):
    logits = np.exp(X @ G.T)
    shares = logits / logits.sum(axis=1, keepdims=True)
    return sum(shares[:, [e]] * found[e] for e in range(len(found)))


def test_two_heads_by_hand():
    """One token (1,), one shared expert relu(1 + 1) = 2, and own experts relu(2 * 1) = 2 and relu(4 * 1) = 4. The gates
    favour the own expert 3 to 1, and not at all: 2 and (4 + 2) / 2 = 3.
    """
    layer = make_layer([[1]], n_shared=1, n_own=1, width=1)
    for name, weight, bias in (("shared0", 1, 1), ("one/own0", 2, 0), ("two/own0", 4, 0)):
        layer.set_param(f"{name}/W", np.full((1, 1, 1), weight, dtype="f"))
        layer.set_param(f"{name}/b", np.full((1, 1), bias, dtype="f"))
    layer.set_param("one/gate0", np.array([[np.log(3)], [0]], dtype="f"))
    layer.set_param("two/gate0", np.zeros((2, 1), dtype="f"))
    views, backprop = layer.begin_update(as_input([[1]]))
    assert views["one"].dataXd == pytest.approx(np.array([[2.0]]))
    assert views["two"].dataXd == pytest.approx(np.array([[3.0]]))
    backprop({"two": Ragged(np.ones((1, 1), dtype="f"), np.array([1], dtype="i"))})
    # shares of a half each; the gate's gradient is 1/4 * (4 - 2)
    assert layer.get_grad("two/own0/b") == pytest.approx(np.array([[0.5]]))
    assert layer.get_grad("shared0/b") == pytest.approx(np.array([[0.5]]))
    assert layer.get_grad("two/gate0") == pytest.approx(np.array([[0.5], [-0.5]]))
    assert not layer.has_grad("one/own0/b") or not layer.get_grad("one/own0/b").any()


def test_two_levels_by_the_formula():
    X = np.random.default_rng(1).normal(size=(8, 5)).astype("f")
    layer = make_layer(X, n_shared=2, n_own=1, width=3, n_levels=2)
    own, shared = dict.fromkeys(HEADS, X), X
    for level in range(2):
        common = experts(layer, f"shared{level}", shared)
        private = {head: experts(layer, f"{head}/own{level}", own[head]) for head in HEADS}
        own = {
            head: mix(layer.get_param(f"{head}/gate{level}"), own[head], [*private[head], *common]) for head in HEADS
        }
        if level == 0:
            gate = [layer.get_param(f"{name}shared_gate0") for name in ("one/", "two/", "")]
            shared = mix(np.concatenate(gate), shared, [*private["one"], *private["two"], *common])
    views = layer.predict(as_input(X))
    for head in HEADS:
        assert views[head].dataXd == pytest.approx(own[head], abs=1e-4)


def test_a_head_whose_gate_is_closed_to_the_shared_experts_is_separate():
    X = np.random.default_rng(1).normal(size=(8, 5)).astype("f")
    layer = make_layer(np.abs(X), n_shared=1, n_own=1, width=3)
    layer.set_param("one/gate0", np.array([[50.0] * 5, [-50.0] * 5], dtype="f"))
    view = layer.predict(as_input(np.abs(X)))["one"].dataXd
    assert view == pytest.approx(experts(layer, "one/own0", np.abs(X))[0], abs=1e-5)


@pytest.mark.parametrize("n_levels", [1, 2])
def test_number_of_parameters_is_as_documented(n_levels):
    layer = make_layer(np.zeros((1, 6)), n_shared=2, n_own=1, width=4, n_levels=n_levels)
    expected = 0
    for level in range(n_levels):
        n = 6 if level == 0 else 4
        expected += (2 * 1 + 2) * (n + 1) * 4 + 2 * (1 + 2) * n
        expected += (2 * 1 + 2) * n if level < n_levels - 1 else 0
    assert sum(layer.get_param(name).size for name in layer.param_names) == expected


@pytest.mark.parametrize("name", ["n_shared", "n_own", "width", "n_levels"])
def test_refused(name):
    with pytest.raises(ValueError, match=f"PLE: {name} is 0"):
        make_ple_v1(**{name: 0})
