"""The recurrent layer against a plain loop, and its gradients against finite differences."""

import numpy as np
import pytest
from thinc.api import fix_random_seed
from thinc.types import Ragged

from spacy_mtl.heads.dependency_parser.gated_recurrence import MEMORY, gated_recurrence


@pytest.fixture
def layer():
    fix_random_seed(0)
    layer = gated_recurrence(3)
    layer.initialize(Ragged(np.zeros((1, 5), dtype="f"), np.array([1], dtype="i")))
    return layer


def plain(layer, X, lengths):
    """One doc, one direction and one token at a time."""
    outputs = layer.layers[0].predict(X)
    gates, candidates = 1 / (1 + np.exp(-outputs[:, :6])), outputs[:, 6:]
    Y = np.zeros((len(X), 6))
    start = 0
    for length in lengths:
        for columns, places in ((slice(0, 3), range(length)), (slice(3, 6), range(length - 1, -1, -1))):
            state = np.zeros(3)
            for place in places:
                z = gates[start + place, columns]
                state = (1 - z) * state + z * candidates[start + place, columns]
                Y[start + place, columns] = state
        start += length
    return Y


@pytest.mark.parametrize("lengths", [[4, 0, 1, 6, 2], [1], [0, 0], [3, 3], []])
def test_equals_a_plain_loop(layer, lengths):
    X = np.random.default_rng(0).normal(size=(sum(lengths), 5)).astype("f")
    Y = layer.predict(Ragged(X, np.array(lengths, dtype="i")))
    assert Y.shape == (len(X), 6)
    assert np.allclose(Y, plain(layer, X, lengths), atol=1e-6)


def test_gradient_equals_finite_differences(layer):
    rng = np.random.default_rng(0)
    lengths = np.array([4, 0, 1, 6, 2], dtype="i")
    X, direction = rng.normal(size=(2, 13, 5)).astype("f")
    dY = rng.normal(size=(13, 6)).astype("f")
    _, backprop = layer.begin_update(Ragged(X, lengths))
    gradient = backprop(dY).dataXd
    sides = [(layer.predict(Ragged(X + sign * 1e-2 * direction, lengths)).astype("d") * dY).sum() for sign in (1, -1)]
    assert (gradient * direction).sum() == pytest.approx((sides[0] - sides[1]) / 2e-2, rel=1e-3)
    W = layer.layers[0].get_param("W")
    move = rng.normal(size=W.shape).astype("f")
    kept, sides = W.copy(), []
    for sign in (1, -1):
        W[:] = kept + sign * 1e-2 * move
        sides.append((layer.predict(Ragged(X, lengths)).astype("d") * dY).sum())
    expected = (layer.layers[0].get_grad("W") * move).sum()
    assert expected == pytest.approx((sides[0] - sides[1]) / 2e-2, rel=1e-3)


def test_states_remember_from_one_to_twenty_tokens_at_first():
    layer = gated_recurrence(64)
    layer.initialize(Ragged(np.zeros((1, 5), dtype="f"), np.array([1], dtype="i")))
    impulse = np.zeros((200, 5), dtype="f")
    bias = layer.layers[0].get_param("b")
    bias[128:] = 1.0
    # the candidates are 1 everywhere, so that a state is 1 less what it has not seen yet
    unseen = 1.0 - layer.predict(Ragged(impulse, np.array([200], dtype="i")))[:, :64]
    memory = 1.0 / (1.0 - unseen[1] / unseen[0])
    assert MEMORY[0] - 1e-3 <= memory.min() < 2
    assert 10 < memory.max() <= MEMORY[1] + 1e-2
