"""Word dropout: which features a dropped token keeps, and that prediction is unaffected."""

import numpy
import pytest
import spacy
from numpy.testing import assert_array_equal
from spacy.attrs import intify_attr
from thinc.api import fix_random_seed

from spacy_mtl.encoders.hash_embed_cnn.hash_embed_cnn import make_hash_embed_cnn_v1
from spacy_mtl.encoders.hash_embed_cnn.word_dropout import drop_words
from spacy_mtl.encoders.hash_embed_cnn.word_vectors import Words, distinct_words

ATTRS = [intify_attr(name) for name in ("NORM", "PREFIX", "SUFFIX", "SHAPE")]


def words_of(text: str) -> Words:
    return distinct_words([spacy.blank("en")(text)], ATTRS)


def test_a_dropped_token_keeps_its_form_and_gets_a_word_of_its_own() -> None:
    words = words_of("play some jazz and play some blues " * 200)
    dropped = drop_words(words, ATTRS, len(ATTRS), 0.25, seed=1)
    before, after = words.features[words.of_token], dropped.features[dropped.of_token]
    changed = before[:, 0] != after[:, 0]
    assert abs(changed.mean() - 0.25) < 0.05
    assert_array_equal(before[:, 1:], after[:, 1:])
    assert_array_equal(before[~changed], after[~changed])
    new = after[changed, 0]
    assert len(set(new.tolist())) == len(new)
    assert not set(new.tolist()) & set(before[:, 0].tolist())


def test_a_dropped_token_has_no_static_vector() -> None:
    words = words_of("play some jazz")
    dropped = drop_words(words, [*ATTRS[:3], ATTRS[0]], 3, 0.999999, seed=0)
    assert (dropped.features[dropped.of_token][:, 3] == 0).all()


def encoder(word_dropout: float):
    nlp = spacy.blank("en")
    docs = [nlp("play some jazz by miles davis"), nlp("wake me at seven")]
    fix_random_seed(0)
    return make_hash_embed_cnn_v1(16, 2, 100, 1, 2, True, None, word_dropout=word_dropout).initialize(docs), docs


def test_prediction_is_the_same_and_training_is_not() -> None:
    (plain, docs), (dropping, _) = encoder(0.0), encoder(0.5)
    assert_array_equal(numpy.concatenate(plain.predict(docs)), numpy.concatenate(dropping.predict(docs)))
    trained = numpy.concatenate(dropping.begin_update(docs)[0])
    assert (trained != numpy.concatenate(plain.begin_update(docs)[0])).any()


def test_the_gradient_reaches_only_rows_of_the_words_that_were_seen() -> None:
    """Every token is dropped: no row of NORM's table moves as it would without word dropout, those of SHAPE all do."""
    grads = []
    for rate in (0.0, 0.999999):
        model, docs = encoder(rate)
        vectors, backprop = model.begin_update(docs)
        backprop([numpy.ones_like(v) for v in vectors])
        tables = [node.get_grad("E") for node in model.walk() if node.name == "hashembed"]
        grads.append([set(numpy.flatnonzero(numpy.abs(table).sum(axis=1)).tolist()) for table in tables])
    (norm, *others), (norm_dropped, *others_dropped) = grads
    assert norm != norm_dropped
    assert others == others_dropped


def test_the_same_seed_drops_the_same_tokens() -> None:
    model, docs = encoder(0.5)
    drawn = []
    for _ in range(2):
        fix_random_seed(3)
        drawn.append(numpy.concatenate(model.begin_update(docs)[0]))
    assert_array_equal(*drawn)


def test_a_rate_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"word_dropout is 1\.0, expected a number from 0 to below 1"):
        make_hash_embed_cnn_v1(16, 2, 100, 1, 2, True, None, word_dropout=1.0)
