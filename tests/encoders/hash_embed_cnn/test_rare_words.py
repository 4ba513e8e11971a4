"""Dropout of rare words: how often words are dropped, what happens to unseen words, and that counts are saved."""

import pickle

import numpy
import pytest
import spacy
from numpy.testing import assert_allclose, assert_array_equal
from pipelines import ENCODER, make_examples, make_nlp
from spacy.attrs import intify_attr
from thinc.api import fix_random_seed

from spacy_mtl.augmenters.swap_entities import make_swap_entities_v1
from spacy_mtl.encoders.hash_embed_cnn import rare_words
from spacy_mtl.encoders.hash_embed_cnn.hash_embed_cnn import make_hash_embed_cnn_v1, make_multi_hash_embed_cnn_v1
from spacy_mtl.encoders.hash_embed_cnn.rare_words import UNKNOWN, WordCounts, drop_rare, hide_unseen
from spacy_mtl.encoders.hash_embed_cnn.word_vectors import distinct_words
from spacy_mtl.origin import mark_augmented

ATTRS = [intify_attr(name) for name in ("NORM", "PREFIX", "SUFFIX", "SHAPE")]
NLP = spacy.blank("en")


def hash_of(word: str) -> int:
    return NLP.vocab.strings.add(word)


def counted(*texts: str) -> WordCounts:
    counts = WordCounts()
    counts.see([NLP(text) for text in texts], ATTRS)
    return counts


def make_encoder(alpha: float, **settings):
    fix_random_seed(0)
    return make_hash_embed_cnn_v1(16, 2, 100, 1, 2, True, None, rare_word_dropout=alpha, **settings).initialize()


def train_on(model, *texts: str):
    docs = [NLP(text) for text in texts]
    model.begin_update(docs)
    return model


def test_counts_are_of_texts_and_a_text_counts_once() -> None:
    counts = counted("play some jazz", "play play some blues", "play some jazz")
    words = numpy.array([hash_of(word) for word in ("play", "jazz", "rock")], dtype="uint64")
    assert counts.of(words).tolist() == [2, 1, 0]
    assert not counts.see([NLP("play some jazz")], ATTRS)


def test_a_resumed_training_does_not_count_its_texts_again() -> None:
    counts, resumed = counted("play some jazz", "play some blues"), WordCounts()
    resumed.resume(counts.training_state())
    assert len(counts.training_state()) == 16
    assert not resumed.see([NLP("play some jazz"), NLP("play some blues")], ATTRS)
    assert resumed.see([NLP("play some rock")], ATTRS)


def test_what_an_augmenter_made_is_not_counted() -> None:
    counts = counted("play some jazz")
    assert not counts.see([mark_augmented(NLP("play some rock"))], ATTRS)
    assert set(counts.counts) == {hash_of(word) for word in ("play", "some", "jazz")}


def test_training_does_not_count_swapped_entities() -> None:
    encoder = {**ENCODER, "@architectures": "spacy_mtl.HashEmbedCNN.v1", "rare_word_dropout": 1.0}
    nlp = make_nlp(model={"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder})
    augment = make_swap_entities_v1(1.0)
    for _ in range(5):
        swapped = [eg for example in make_examples(nlp) for eg in augment(nlp, example)]
        nlp.update(swapped, sgd=nlp.create_optimizer())
    counts = nlp.get_pipe("multitask").model.get_ref("encoder").get_ref("tok2vec").attrs["word_counts"]
    assert any("Anna Schmidt" in eg.reference.text for eg in swapped)
    assert not counts.counts
    nlp.update(make_examples(nlp), sgd=nlp.create_optimizer())
    assert counts.of(numpy.array([nlp.vocab.strings.add("berlin"), hash_of("who")], dtype="uint64")).tolist() == [2, 1]


def test_after_many_texts_no_more_are_counted(monkeypatch) -> None:
    monkeypatch.setattr(rare_words, "MAX_TEXTS", 2)
    counts = counted("one", "two", "three")
    assert set(counts.counts) == {hash_of("one"), hash_of("two")}


@pytest.mark.parametrize(("alpha", "power"), [(0.5, 1.0), (2.0, 1.0), (2.0, 3.0)])
def test_a_word_is_dropped_as_often_as_the_formula_says(alpha: float, power: float) -> None:
    counts = counted("play some jazz", "play some blues", "play", *["play it " * n for n in range(1, 6)])
    words = distinct_words([NLP("play some jazz " * 20_000)], ATTRS)
    dropped = drop_rare(words, ATTRS, counts, alpha, power, seed=1)
    before, after = words.features[words.of_token], dropped.features[dropped.of_token]
    assert_array_equal(before[:, 1:], after[:, 1:])
    is_unknown = (after[:, 0] == UNKNOWN).reshape(-1, 3)
    assert_array_equal(after[~is_unknown.ravel()], before[~is_unknown.ravel()])
    expected = [alpha / (alpha + n**power) for n in (8, 2, 1)]
    assert_allclose(is_unknown.mean(axis=0), expected, atol=0.02)


def test_unseen_words_are_one_word_and_keep_their_form_and_their_static_vectors() -> None:
    words = distinct_words([NLP("play some Schlager")], [*ATTRS, ATTRS[0]])
    hidden = hide_unseen(words.features, ATTRS, counted("play some jazz"))[words.of_token]
    before = words.features[words.of_token]
    assert_array_equal(hidden[:2], before[:2])
    assert hidden[2].tolist() == [UNKNOWN, *before[2, 1:].tolist()]


def test_an_encoder_predicts_the_same_for_unseen_words_that_look_the_same() -> None:
    model = train_on(make_encoder(1.0), "play some jazz")
    seen, first, second = (model.predict([NLP(f"play some {word}")])[0][2] for word in ("jazz", "blabs", "brabs"))
    assert_array_equal(first, second)
    assert (seen != first).any()
    plain = make_encoder(0.0)
    assert (plain.predict([NLP("blabs")])[0] != plain.predict([NLP("brabs")])[0]).any()


def test_a_word_that_training_meets_later_is_not_read_from_the_cache() -> None:
    model = train_on(make_encoder(1.0), "play some jazz")
    before = model.predict([NLP("brabs")])[0]
    assert (train_on(model, "brabs").predict([NLP("brabs")])[0] != before).any()


def test_seen_words_are_as_in_an_encoder_without_dropout() -> None:
    model, plain = train_on(make_encoder(1.0), "play some jazz"), make_encoder(0.0)
    docs = [NLP("play jazz")]
    assert_array_equal(model.predict(docs)[0], plain.predict(docs)[0])


@pytest.mark.parametrize(
    "copied",
    [
        lambda model: make_encoder(1.0).from_bytes(model.to_bytes()),
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: model.copy(),
    ],
)
def test_the_counts_are_saved(copied) -> None:
    model = train_on(make_encoder(1.0), "play some jazz", "play")
    other = copied(model)
    assert other.attrs["word_counts"].counts == model.attrs["word_counts"].counts
    docs = [NLP("play some blabs")]
    assert_array_equal(other.predict(docs)[0], model.predict(docs)[0])
    train_on(other, "blabs")
    assert hash_of("blabs") not in model.attrs["word_counts"].counts


def test_the_same_seed_drops_the_same_tokens() -> None:
    model, docs = make_encoder(1.0), [NLP("play some jazz by miles davis")]
    drawn = []
    for _ in range(2):
        fix_random_seed(3)
        drawn.append(model.begin_update(docs)[0][0])
    assert_array_equal(*drawn)
    assert (drawn[0] != make_encoder(0.0).begin_update(docs)[0][0]).any()


def test_with_a_high_power_an_encoder_drops_only_words_seen_once() -> None:
    docs = [NLP(text) for text in ["play some jazz"] * 200 + ["play some", "play some jazz music"]]
    plain = make_encoder(0.0).begin_update(docs)[0]
    steep, flat = (make_encoder(1.0, rare_word_power=power).begin_update(docs)[0] for power in (60.0, 1.0))
    assert_array_equal(numpy.concatenate(steep[:-1]), numpy.concatenate(plain[:-1]))
    assert (numpy.concatenate(flat[:-1]) != numpy.concatenate(plain[:-1])).any()


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rare_word_dropout is -1\.0, expected 0 or a positive number"):
        make_encoder(-1.0)
    with pytest.raises(ValueError, match=r"rare_word_power is 0\.0, expected a positive number"):
        make_encoder(1.0, rare_word_power=0.0)
    with pytest.raises(ValueError, match="attrs has none of ORTH, LOWER, NORM, LEMMA"):
        make_multi_hash_embed_cnn_v1(16, ["SHAPE"], [100], False, 2, 1, 2, rare_word_dropout=1.0)
