"""The backprop of the last layer alone gives the gradients that the whole backward pass gives."""

import copy
import pickle

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import fix_random_seed, set_dropout_rate

from spacy_mtl.encoders.hash_embed_cnn import kernels
from spacy_mtl.encoders.hash_embed_cnn.hash_embed_cnn import make_hash_embed_cnn_v1
from spacy_mtl.layers.last_layer import LAST_LAYER
from spacy_mtl.threads import parallel


def make_encoder(**settings):
    fix_random_seed(0)
    sizes = {"width": 16, "depth": 3, "embed_size": 50, "window_size": 1, "maxout_pieces": 3} | settings
    return make_hash_embed_cnn_v1(**sizes, subword_features=True, pretrained_vectors=None)


VOCAB = Vocab()
# enough for two threads, with an empty doc and one of a single token
TEXTS = ["play some jazz in New York", "", "stop", "who is it", "a table for two near the old town hall at eight"]


@pytest.fixture(params=["numpy", "torch"])
def engine(request, monkeypatch):
    """The kernels of numpy; or those of torch, on two threads with a part of the docs each."""
    monkeypatch.setattr(kernels, "FEW_TOKENS", 0)
    monkeypatch.setattr(parallel, "PART_TOKENS", 8)
    if request.param == "numpy":
        monkeypatch.setattr(kernels, "has_torch", False)
        monkeypatch.setattr(parallel, "has_torch", False)
        yield
        return
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def begin(settings):
    """An encoder after its forward pass with dropout, its vectors and its backprop: the same each time."""
    model = make_encoder(**settings)
    docs = [Doc(VOCAB, words=text.split()) for text in TEXTS]
    model.initialize(docs)
    set_dropout_rate(model, 0.3)
    fix_random_seed(1)
    return model, *model(docs, True)


def last_nodes(model):
    return [[node for node in model.walk() if node.name == name][-1] for name in ("maxout", "layernorm")]


def last_gradient(model):
    """The gradient of the last layer's parameters, flat."""
    maxout, norm = last_nodes(model)
    parts = [maxout.get_grad("W"), maxout.get_grad("b"), norm.get_grad("G"), norm.get_grad("b")]
    return np.concatenate([grad.ravel() for grad in parts])


def other_gradients(model):
    nodes = [node for node in model.walk() if node not in last_nodes(model)]
    return [node.get_grad(name) for node in nodes for name in node.param_names if node.has_grad(name)]


def random_gradients(tokvecs, n):
    rng = np.random.default_rng(0)
    n_tokens, width = sum(map(len, tokvecs)), tokvecs[0].shape[1]
    return [rng.normal(size=(n_tokens, width)).astype("f") * 10.0**i for i in range(n)]


def split(gradient, tokvecs):
    return np.split(gradient, np.cumsum([len(one) for one in tokvecs])[:-1])


SETTINGS = [{}, {"boundary": "zero"}, {"window_size": 2}, {"depth": 1}, {"maxout_pieces": 1, "window_size": 2}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_several_gradients_at_once_equal_what_the_whole_backward_pass_adds_for_each(settings, engine):
    model, tokvecs, _ = begin(settings)
    several = random_gradients(tokvecs, 3)
    found = model.attrs[LAST_LAYER].backprop(several)
    assert not any(node.has_grad(name) for node in model.walk() for name in node.param_names)
    alone = [model.attrs[LAST_LAYER].backprop([one])[0] for one in several]
    assert len(found) == 3
    for gradient, flat, own in zip(several, found, alone, strict=True):
        model, tokvecs, backprop = begin(settings)
        backprop(split(gradient, tokvecs))
        expected = last_gradient(model)
        largest = np.abs(expected).max()
        np.testing.assert_allclose(flat, expected, rtol=1e-5, atol=1e-5 * largest)
        np.testing.assert_allclose(own, flat, rtol=1e-5, atol=1e-5 * largest)
        assert model.attrs[LAST_LAYER].backprop is None


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_gradient_that_was_expected_is_not_computed_again(settings, engine):
    def run(*, expected=None, factor=1.0):
        model, tokvecs, backprop = begin(settings)
        (gradient,) = random_gradients(tokvecs, 1)
        last_layer = model.attrs[LAST_LAYER]
        if expected is not None:
            last_layer.expect(gradient, last_layer.backprop([gradient])[0] + np.float32(expected))
        gradient *= np.float32(factor)
        backprop(split(gradient, tokvecs))
        return other_gradients(model), last_gradient(model)

    others, last = run()
    for offset in (0.0, 3.0):
        found, given = run(expected=offset)
        assert len(found) == len(others) > 0
        for gradient, plain in zip(found, others, strict=True):
            np.testing.assert_array_equal(gradient, plain)
        np.testing.assert_allclose(given - offset, last, rtol=1e-5, atol=1e-5 * np.abs(last).max())
    # if something else was added to the gradient, it is computed
    np.testing.assert_array_equal(run(expected=3.0, factor=2.0)[1], run(factor=2.0)[1])


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
