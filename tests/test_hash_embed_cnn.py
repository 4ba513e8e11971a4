"""The fast encoder against spaCy's own layer: same weights, same vectors, same gradients."""

import copy
import pickle

import numpy as np
import pytest
import spacy
from pipelines import TEXTS
from spacy.ml.models.tok2vec import build_hash_embed_cnn_tok2vec
from spacy.tokens import Doc
from thinc.api import Adam, fix_random_seed

from spacy_mtl.models.hash_embed_cnn import load_spacy_weights, make_hash_embed_cnn_v1

SETTINGS = {
    "width": 16,
    "depth": 3,
    "embed_size": 100,
    "window_size": 1,
    "maxout_pieces": 3,
    "subword_features": True,
    "pretrained_vectors": None,
}
VARIANTS = [{}, {"depth": 1}, {"window_size": 2}, {"subword_features": False, "maxout_pieces": 2}]


@pytest.fixture
def docs():
    nlp = spacy.blank("en")
    texts = [text for text, _, _ in TEXTS]
    made = [nlp.make_doc(text) for text in (*texts, "play", "🤷‍♀️ ﷽ e\u0301", " \n ", "play play play jazz jazz")]
    return [*made, Doc(nlp.vocab), *made[:2]]


def pair(docs, **settings):
    """spaCy's layer and the fast one, with the same random weights (biases too)."""
    fix_random_seed(0)
    theirs = build_hash_embed_cnn_tok2vec(**SETTINGS | settings)
    theirs.initialize(docs)
    for node in theirs.walk():
        if "b" in node.param_names:
            node.get_param("b")[:] += np.random.default_rng(0).normal(size=node.get_param("b").shape) * 0.1
    mine = make_hash_embed_cnn_v1(**SETTINGS | settings)
    mine.initialize(docs)
    return theirs, load_spacy_weights(mine, theirs)


def equal(one, other, tolerance=1e-5):
    return all(a.shape == b.shape and np.allclose(a, b, atol=tolerance) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_same_weights_give_the_same_vectors_and_gradients(docs, settings):
    theirs, mine = pair(docs, **settings)
    assert equal(theirs.predict(docs), mine.predict(docs))
    expected, bp_expected = theirs.begin_update(docs)
    found, bp_found = mine.begin_update(docs)
    assert equal(expected, found)
    rng = np.random.default_rng(1)
    gradient = [rng.normal(size=array.shape).astype("f") for array in expected]
    bp_expected([array.copy() for array in gradient])
    bp_found([array.copy() for array in gradient])
    compared = 0
    for one, other in zip(theirs.walk(), mine.walk(), strict=True):
        for name in one.param_names:
            assert np.allclose(one.get_grad(name), other.get_grad(name), atol=1e-4), (one.name, name)
            compared += 1
    assert compared >= 8


def test_zero_boundary_sees_nothing_of_other_docs(docs):
    model = make_hash_embed_cnn_v1(**SETTINGS, boundary="zero")
    model.initialize(docs)
    together = model.predict(docs)
    assert equal(together, [model.predict([doc])[0] for doc in docs])


def test_prediction_follows_every_change_of_the_weights(docs):
    theirs, mine = pair(docs)
    before = mine.predict(docs)
    for model in (theirs, mine):
        nodes = [node for node in model.walk() if node.has_param("E")]
        nodes[0].get_param("E")[:] += 0.5
    assert equal(theirs.predict(docs), mine.predict(docs))
    assert not equal(before, mine.predict(docs))
    Y, backprop = mine.begin_update(docs)
    backprop([np.random.default_rng(0).normal(size=array.shape).astype("f") for array in Y])
    mine.finish_update(Adam(0.1))
    load_spacy_weights(theirs, mine)
    assert equal(theirs.predict(docs), mine.predict(docs))
    after = mine.predict(docs)
    node = next(node for node in mine.walk() if node.has_param("W"))
    with mine.use_params({(node.id, "W"): node.get_param("W") * 0.5}):
        assert not equal(after, mine.predict(docs))
    assert equal(after, mine.predict(docs))


def test_copies_and_bytes(docs):
    _, mine = pair(docs)
    expected = mine.predict(docs)
    fresh = make_hash_embed_cnn_v1(**SETTINGS)
    for other in (
        fresh.from_bytes(mine.to_bytes()),
        mine.copy(),
        copy.deepcopy(mine),
        pickle.loads(pickle.dumps(mine)),
    ):
        assert equal(expected, other.predict(docs))
    assert mine.get_dim("nO") == SETTINGS["width"]


def test_settings_that_differ_are_refused(docs):
    theirs, _ = pair(docs)
    other = make_hash_embed_cnn_v1(**SETTINGS | {"width": 24})
    with pytest.raises(ValueError, match="settings differ"):
        load_spacy_weights(other, theirs)


def test_dropout_keeps_the_mean(docs):
    _, mine = pair(docs)
    plain = np.concatenate(mine.predict(docs))
    for node in mine.walk():
        if "dropout_rate" in node.attrs:
            node.attrs["dropout_rate"] = 0.2
    draws = [np.concatenate(mine.begin_update(docs)[0]) for _ in range(3)]
    assert not np.allclose(draws[0], draws[1])
    assert all(np.isfinite(draw).all() and draw.shape == plain.shape for draw in draws)


def test_a_long_doc():
    nlp = spacy.blank("en")
    doc = Doc(nlp.vocab, words=["play", "some", "jazz", "in", "Berlin"] * 4000)
    theirs, mine = pair([doc])
    assert equal(theirs.predict([doc]), mine.predict([doc]))
