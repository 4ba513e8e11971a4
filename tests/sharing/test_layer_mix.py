"""Each head learns its own mix of the encoder's layers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pipelines import ENCODER, make_examples, make_nlp, train
from thinc.api import Ragged

from spacy_mtl.protocols.sharing import SharingInput
from spacy_mtl.sharing.layer_mix import layer_weights, make_layer_mix_v1

LENGTHS = np.array([2, 1], dtype="i")


def make_mix(*, n_layers=3, width=2):
    """An initialised layer of two heads, and its input: three tokens."""
    X = np.random.default_rng(0).normal(size=(3, n_layers * width)).astype("f")
    given = SharingInput([], Ragged(X, LENGTHS))
    model = make_layer_mix_v1(n_layers)
    model.attrs["heads"] = ["intent", "slots"]
    model.initialize(given)
    return model, given


def test_it_begins_as_the_mean_of_the_layers():
    model, given = make_mix()
    views = model.predict(given)
    for view in views.values():
        assert_allclose(view.dataXd, given.tokvecs.dataXd.reshape(3, 3, 2).mean(axis=1), rtol=1e-5)
        assert view.lengths is LENGTHS
    assert_allclose(layer_weights(model)["slots"], [1 / 3] * 3, rtol=1e-6)


def test_each_head_mixes_by_itself():
    """softmax(0, log 2, log 5) is 1/8, 2/8, 5/8."""
    model, given = make_mix()
    model.set_param("intent/scores", np.log([1, 2, 5]).astype("f"))
    model.set_param("intent/gamma", np.array([8], dtype="f"))
    one, two, three = np.split(given.tokvecs.dataXd, 3, axis=1)
    views = model.predict(given)
    assert_allclose(views["intent"].dataXd, one + 2 * two + 5 * three, rtol=1e-4)
    assert_allclose(views["slots"].dataXd, (one + two + three) / 3, rtol=1e-4)
    assert_allclose(layer_weights(model)["intent"], [0.125, 0.25, 0.625], rtol=1e-5)


def test_a_head_finds_the_layer_that_it_needs():
    """Each head is drawn towards one layer; another head's gradient leaves its scores alone."""
    model, given = make_mix(width=8)
    wanted = {"intent": 0, "slots": 2}
    layers = np.split(given.tokvecs.dataXd, 3, axis=1)
    for _ in range(1000):
        views, backprop = model.begin_update(given)
        backprop({head: Ragged(views[head].dataXd - layers[layer], LENGTHS) for head, layer in wanted.items()})
        for name in model.param_names:
            model.set_param(name, model.get_param(name) - 0.05 * model.get_grad(name))
            model.set_grad(name, model.get_grad(name) * 0)
    weights = layer_weights(model)
    assert {head: int(np.argmax(weights[head])) for head in wanted} == wanted
    assert all(max(own) > 0.9 for own in weights.values())


def test_heads_without_gold_keep_their_mix():
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    nlp = make_nlp(model=model | {"sharing": {"@mtl_sharing": "spacy_mtl.LayerMix.v1", "n_layers": 4}})
    pipe = nlp.get_pipe("multitask")
    assert pipe.encoder.get_dim("nO") == 32
    assert pipe.encoder.get_ref("sharing").get_dim("nO") == 8
    train(nlp, make_examples(nlp, cats=False), steps=3)
    weights = layer_weights(pipe.encoder.get_ref("sharing"))
    assert weights["intent"] != [0.25] * 4
    train(nlp, make_examples(nlp, ents=False), steps=3)
    after = layer_weights(pipe.encoder.get_ref("sharing"))
    assert after["slots"] == weights["slots"]
    assert after["intent"] != weights["intent"]


def test_a_width_that_does_not_fit_is_an_error():
    sharing = {"@mtl_sharing": "spacy_mtl.LayerMix.v1", "n_layers": 5}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER, "sharing": sharing}
    with pytest.raises(ValueError, match=r'vectors are 32 wide, which is no multiple of n_layers = 5.*layers = "all"'):
        make_nlp(model=model)
    with pytest.raises(ValueError, match="n_layers is 0"):
        make_layer_mix_v1(0)
