"""Classes and entities decided together, against every combination of a class and a tag sequence, enumerated."""

from collections import Counter

import numpy as np
import pytest
from test_crf import LENGTHS, enumerate_paths, random_scores

from spacy_mtl.layers import joint_decoding
from spacy_mtl.layers.beam_search import beam_search
from spacy_mtl.layers.crf import constrain
from spacy_mtl.layers.joint_decoding import decode_jointly, fits
from spacy_mtl.layers.path_probability import path_log_scores, path_probabilities
from spacy_mtl.layers.seen_types import Fit
from spacy_mtl.layers.softmax import log_softmax
from spacy_mtl.layers.tag_scheme import make_tag_scheme
from spacy_mtl.layers.viterbi import viterbi

N_CLASSES = 3
RUNNING = np.flatnonzero(LENGTHS)
CASES = pytest.mark.parametrize(("kind", "n_labels"), [("BIO", 2), ("BILUO", 2)])
SEEDS = pytest.mark.parametrize("seed", range(4))


def random_case(kind, n_labels, seed, *, size=2.0):
    """Scheme, raw scores, logits of classes, and what goes together."""
    scheme = make_tag_scheme(kind, n_labels)
    rng = np.random.default_rng(seed)
    together = rng.random((N_CLASSES, n_labels, n_labels)) < 0.4
    fit = Fit(rng.random((N_CLASSES, n_labels)) < 0.7, together | together.transpose(0, 2, 1))
    logits = rng.normal(size=(len(LENGTHS), N_CLASSES)) * 2
    return scheme, random_scores(scheme, seed=seed, size=size), logits, fit


def rows_of(doc):
    return np.repeat(np.arange(len(LENGTHS)), LENGTHS) == doc


def is_fitting(path, index, scheme, fit):
    """By the definition."""
    counts = Counter(scheme.spans(np.array(path))[2].tolist())
    single = all(fit.possible[index, label] for label in counts)
    twice = all(fit.together[index, label, label] for label, count in counts.items() if count > 1)
    return single and twice and all(fit.together[index, a, b] for a in counts for b in counts if a != b)


def best_paths(scores, scheme, doc, fit):
    """The best tags that fit each class, with their log-potentials."""
    paths = list(enumerate_paths(scores, scheme, doc))
    for index in range(N_CLASSES):
        yield max((pair for pair in paths if is_fitting(pair[0], index, scheme, fit)), key=lambda pair: pair[1])


@CASES
@SEEDS
def test_fits_is_the_definition(kind, n_labels, seed):
    scheme, scores, logits, fit = random_case(kind, n_labels, seed)
    tags, classes = viterbi(constrain(scores, scheme)), logits.argmax(axis=1)
    expected = [is_fitting(tags[rows_of(doc)], classes[doc], scheme, fit) for doc in range(len(LENGTHS))]
    assert fits(tags, LENGTHS, classes, scheme, fit).tolist() == expected


@pytest.mark.parametrize("max_tokens", [1, 2**13], ids=["doc by doc", "at once"])
@SEEDS
@CASES
def test_tags_and_classes_are_the_best_combinations(kind, n_labels, seed, max_tokens, monkeypatch):
    monkeypatch.setattr(joint_decoding, "MAX_TOKENS", max_tokens)
    scheme, scores, logits, fit = random_case(kind, n_labels, seed)
    constrained = constrain(scores, scheme)
    decided, new_logits = decode_jointly(constrained, logits, scheme, fit)
    alone, n_changed = viterbi(constrained), 0
    for doc in RUNNING:
        found = list(best_paths(scores, scheme, doc, fit))
        joint = log_softmax(logits[doc : doc + 1])[0] + [value for _, value in found]
        best = joint.argmax()
        assert new_logits[doc].argmax() == best
        assert decided.tags[rows_of(doc)].tolist() == list(found[best][0])
        if is_fitting(alone[rows_of(doc)], logits[doc].argmax(), scheme, fit):
            assert new_logits[doc] == pytest.approx(logits[doc])
        else:
            n_changed += 1
            assert (new_logits[doc] - new_logits[doc].max() >= joint - joint.max() - 1e-9).all()
    assert n_changed


def test_what_fits_is_left_as_it_is():
    scheme, scores, logits, fit = random_case("BIO", 2, 0)
    constrained = constrain(scores, scheme)
    everything = Fit(np.ones_like(fit.possible), np.ones_like(fit.together))
    decided, new_logits = decode_jointly(constrained, logits, scheme, everything)
    assert decided.tags.tolist() == viterbi(constrained).tolist()
    assert new_logits is logits
    assert decided.emissions is constrained.emissions


@pytest.mark.parametrize("width", [16, 10_000])
@SEEDS
@CASES
def test_beam_search_finds_the_best_tags_that_fit(kind, n_labels, seed, width):
    scheme, scores, _, fit = random_case(kind, n_labels, seed, size=1.0)
    running = constrain(scores, scheme)
    running.lengths = LENGTHS[RUNNING]
    for index in range(N_CLASSES):
        tags = beam_search(running, scheme, fit, np.full(len(RUNNING), index), width=width)
        for doc in RUNNING:
            assert tags[rows_of(doc)].tolist() == list(list(best_paths(scores, scheme, doc, fit))[index][0])


def test_a_narrow_beam_gives_tags_that_fit():
    scheme = make_tag_scheme("BILUO", 4)
    rng = np.random.default_rng(0)
    lengths = np.array([30, 1, 12])
    scores = constrain(random_scores(scheme, lengths), scheme)
    fit = Fit(rng.random((1, 4)) < 0.7, np.zeros((1, 4, 4), dtype=bool))
    totals = []
    for width in (1, 4, 64):
        tags = beam_search(scores, scheme, fit, np.zeros(3, dtype=int), width=width)
        assert fits(tags, lengths, np.zeros(3, dtype=int), scheme, fit).all()
        totals.append(path_log_scores(scores, tags))
    assert np.isfinite(totals).all()
    assert (totals[0] <= totals[2]).all()


def test_probabilities_of_decided_tags_are_those_among_the_tags_of_the_class():
    scheme, scores, logits, fit = random_case("BIO", 2, 1)
    decided, new_logits = decode_jointly(constrain(scores, scheme), logits, scheme, fit)
    found = path_probabilities(decided, decided.tags)
    tag_fits = np.pad(fit.possible, ((0, 0), (0, 1)), constant_values=True)[:, scheme.label]
    n_changed = 0
    for doc in RUNNING:
        rows = rows_of(doc)
        possible = np.tile(tag_fits[new_logits[doc].argmax()], (len(rows), 1))
        changed = not np.array_equal(new_logits[doc], logits[doc])
        n_changed += changed
        values = [value for _, value in enumerate_paths(scores, scheme, doc, possible if changed else None)]
        path = tuple(decided.tags[rows].tolist())
        expected = dict(enumerate_paths(scores, scheme, doc))[path] - np.logaddexp.reduce(values)
        assert found[doc] == pytest.approx(np.exp(expected), rel=1e-8)
    assert n_changed
