"""One call of the optimizer for all parameters takes the same steps as one for each."""

from typing import Any

import numpy as np
import pytest
import spacy
from numpy.testing import assert_allclose, assert_array_equal
from spacy.training import Example
from thinc.api import Adam as ThincAdam
from thinc.api import Model, Optimizer, chain
from thinc.compat import has_torch

from spacy_mtl.layers.linear import linear
from spacy_mtl.layers.optimizer_step import MovedTogether, finish_layers, move_together
from spacy_mtl.optimizers.adam import make_adam_v1
from spacy_mtl.optimizers.grouped import make_optimizer_v1

SETTINGS: list[dict[str, Any]] = [
    {},
    {"L2": 0.1},
    {"grad_clip": 0.0},
    {"grad_clip": 0.5, "beta1": 0.8, "beta2": 0.99, "eps": 1e-4},
    {"use_averages": True, "L2": 0.1},
]


def network(seed: int = 0) -> Model[Any, Any]:
    model = chain(linear(9, 5), linear(3, 9)).initialize()
    rng = np.random.default_rng(seed)
    for node in model.walk():
        for name in node.param_names:
            node.get_param(name)[...] = rng.normal(size=node.get_param(name).shape)
    return model


def add_gradients(model: Model[Any, Any], step: int) -> None:
    rng = np.random.default_rng(step)
    size = 3.0 if step % 3 else 0.001
    for node in model.walk():
        for name in node.param_names:
            node.inc_grad(name, (size * rng.normal(size=node.get_param(name).shape)).astype("f"))


def weights_of(model: Model[Any, Any]) -> list[Any]:
    return [node.get_param(name) for node in model.walk() for name in node.param_names]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("make", [make_adam_v1, make_optimizer_v1])
def test_the_steps_are_the_same_to_the_last_bit(make: Any, settings: dict[str, Any]) -> None:
    pytest.importorskip("torch")
    one_by_one, together = network(), network()
    optimizers = [make(0.01, **settings) for _ in range(2)]
    for step in range(20):
        for model in (one_by_one, together):
            add_gradients(model, step)
        Model.finish_update(one_by_one, optimizers[0])
        finish_layers([together], optimizers[1])
        assert not any(node.get_grad(name).any() for node in together.walk() for name in node.param_names)
    for mine, theirs in zip(weights_of(together), weights_of(one_by_one), strict=True):
        assert_array_equal(mine, theirs)
    averages = [list((optimizer.averages or {}).values()) for optimizer in optimizers]
    for mine, theirs in zip(*averages, strict=True):
        assert_array_equal(mine, theirs)


def test_a_parameter_that_torch_cannot_change_in_place_is_moved_too() -> None:
    model = linear(4, 6).initialize()
    model.set_param("W", np.ones((6, 4), dtype="f").T)
    expected = np.ones((4, 6), dtype="f")
    model.inc_grad("W", np.full((4, 6), 0.5, dtype="f"))
    finish_layers([model], make_adam_v1(0.01))
    ThincAdam(0.01, use_averages=False)((1, "W"), expected, np.full((4, 6), 0.5, dtype="f"))
    assert_allclose(model.get_param("W"), expected)


def test_any_other_optimizer_is_called_for_each() -> None:
    ours, theirs = network(), network()
    for model in (ours, theirs):
        add_gradients(model, 1)
    finish_layers([ours], Optimizer(0.01))
    Model.finish_update(theirs, Optimizer(0.01))
    for mine, expected in zip(weights_of(ours), weights_of(theirs), strict=True):
        assert_array_equal(mine, expected)


def test_a_layer_that_two_networks_share_takes_one_step() -> None:
    shared, alone = linear(3, 5).initialize(), linear(3, 5).initialize()
    alone.from_bytes(shared.to_bytes())
    for model in (shared, alone):
        add_gradients(model, 1)
    finish_layers([shared, chain(shared, linear(2, 3).initialize())], make_adam_v1(0.01))
    finish_layers([alone], make_adam_v1(0.01))
    assert_array_equal(shared.get_param("W"), alone.get_param("W"))


def test_a_network_that_is_moved_together_keeps_its_parts() -> None:
    model = network()
    model.set_ref("first", model.layers[0])
    model.attrs["name"] = "value"
    moved = move_together(model)
    assert isinstance(moved, MovedTogether)
    assert moved.get_ref("first") is model.layers[0]
    assert moved.attrs["name"] == "value"
    X = np.ones((2, 5), dtype="f")
    assert_array_equal(moved.predict(X), model.predict(X))
    copied = moved.copy()
    assert_array_equal(copied.predict(X), model.predict(X))
    assert_array_equal(network(1).from_bytes(moved.to_bytes()).predict(X), model.predict(X))


@pytest.mark.skipif(not has_torch, reason="without torch, the optimizer is called for each parameter")
def test_the_encoder_of_a_tok2vec_pipe_is_moved_together() -> None:
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.HashEmbedCNN.v1", "width": 8, "depth": 2, "embed_size": 50, "window_size": 1}
    settings = {**model, "maxout_pieces": 2, "subword_features": True, "pretrained_vectors": False}
    nlp.add_pipe("tok2vec", config={"model": settings})
    nlp.add_pipe(
        "multitask",
        config={
            "model": {
                "@architectures": "spacy_mtl.SharedEncoder.v1",
                "tok2vec": {"@architectures": "spacy_mtl.Tok2VecListener.v1", "width": 8, "upstream": "*"},
            }
        },
    )
    doc = nlp.make_doc("a b c")
    example = Example.from_dict(doc, {"cats": {"x": 1.0, "y": 0.0}, "entities": [(0, 1, "A")]})
    optimizer = nlp.initialize(lambda: [example])
    calls: list[int] = []
    adam = make_adam_v1(optimizer.learn_rate)
    original = adam.step_together
    adam.step_together = lambda params: (calls.append(len(params)), original(params))  # type: ignore[method-assign, func-returns-value]
    nlp.update([example], sgd=False)
    nlp.get_pipe("tok2vec").finish_update(adam)
    n_params = sum(len(node.param_names) for node in nlp.get_pipe("tok2vec").model.walk())
    assert calls == [n_params]
