"""The backprop of the last layer alone gives the gradients that the whole backward pass gives."""

import copy
import pickle

import numpy as np
import pytest
import spacy
from thinc.api import fix_random_seed

from spacy_mtl.encoders.hash_embed_cnn.hash_embed_cnn import make_hash_embed_cnn_v1
from spacy_mtl.layers.last_layer import LAST_LAYER


def make_encoder(**settings):
    fix_random_seed(0)
    sizes = {"width": 16, "depth": 3, "embed_size": 50, "window_size": 1, "maxout_pieces": 3}
    return make_hash_embed_cnn_v1(**sizes, subword_features=True, pretrained_vectors=None, **settings)


@pytest.mark.parametrize("settings", [{}, {"boundary": "zero"}, {"window_size": 2}, {"depth": 1}], ids=str)
def test_equals_what_the_whole_backward_pass_adds(settings):
    sizes = {"width": 16, "depth": 3, "embed_size": 50, "window_size": 1, "maxout_pieces": 3} | settings
    fix_random_seed(0)
    model = make_hash_embed_cnn_v1(**sizes, subword_features=True, pretrained_vectors=None)
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in ("play some jazz in New York", "", "stop", "who is it")]
    model.initialize(docs)
    last_layer = model.attrs[LAST_LAYER]
    tokvecs, backprop = model(docs, True)
    rng = np.random.default_rng(0)
    d_tokvecs = [rng.normal(size=one.shape).astype("f") for one in tokvecs]
    whole = np.concatenate(d_tokvecs)
    quarter, flat, rest = last_layer.backprop([whole * 0.25, whole, whole * 0.75])
    assert not any(
        node.has_grad(name) and node.get_grad(name).any() for node in model.walk() for name in node.param_names
    )
    backprop(d_tokvecs)
    norms = [node for node in model.walk() if node.name == "layernorm"]
    maxouts = [node for node in model.walk() if node.name == "maxout"]
    expected = [maxouts[-1].get_grad("W"), maxouts[-1].get_grad("b"), norms[-1].get_grad("G"), norms[-1].get_grad("b")]
    np.testing.assert_allclose(flat, np.concatenate([grad.ravel() for grad in expected]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(quarter + rest, flat, rtol=1e-3, atol=1e-4)
    assert last_layer.backprop is None


def test_is_set_in_training_alone_and_is_neither_copied_nor_saved():
    model = make_encoder()
    docs = [spacy.blank("en").make_doc("play some jazz")]
    model.initialize(docs)
    model.predict(docs)
    assert model.attrs[LAST_LAYER].backprop is None
    model(docs, True)
    assert model.attrs[LAST_LAYER].backprop is not None
    assert copy.deepcopy(model.attrs[LAST_LAYER]).backprop is None
    assert pickle.loads(pickle.dumps(model.attrs[LAST_LAYER])).backprop is None
    loaded = make_encoder().from_bytes(model.to_bytes())
    assert loaded.attrs[LAST_LAYER].backprop is None
