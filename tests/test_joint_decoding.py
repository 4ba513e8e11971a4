"""Classes and tags decided together, against every pair of a class and a tag sequence, enumerated."""

import numpy as np
import pytest
from test_crf import LENGTHS, enumerate_paths, random_scores

from spacy_mtl.layers import joint_decoding
from spacy_mtl.layers.crf import constrain
from spacy_mtl.layers.joint_decoding import decode_jointly
from spacy_mtl.layers.path_probability import path_probabilities
from spacy_mtl.layers.softmax import log_softmax
from spacy_mtl.layers.tag_scheme import make_tag_scheme
from spacy_mtl.layers.viterbi import viterbi

N_CLASSES = 3


def random_case(kind, n_labels, seed):
    """Scheme, raw scores, logits of classes, and which tags go with which class."""
    scheme = make_tag_scheme(kind, n_labels)
    rng = np.random.default_rng(seed)
    goes = np.pad(rng.random((N_CLASSES, n_labels)) < 0.5, ((0, 0), (0, 1)), constant_values=True)
    logits = rng.normal(size=(len(LENGTHS), N_CLASSES)) * 2
    return scheme, random_scores(scheme, seed=seed), logits, goes[:, scheme.label]


def best_pairs(scores, scheme, logits, possible):
    """For each doc the log-score of the best tags with each class, and these tags."""
    owners = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    for doc in np.flatnonzero(LENGTHS):
        found = []
        for row, allowed in zip(log_softmax(logits[doc : doc + 1])[0], possible, strict=True):
            fits = np.tile(allowed, (len(owners), 1))
            path, value = max(enumerate_paths(scores, scheme, doc, fits), key=lambda pair: pair[1])
            found.append((row + value, path))
        yield doc, owners == doc, found


@pytest.mark.parametrize("max_tokens", [1, 2**15], ids=["class by class", "at once"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("kind", "n_labels"), [("BIO", 2), ("BILUO", 2)])
def test_tags_and_classes_are_the_best_pairs(kind, n_labels, seed, max_tokens, monkeypatch):
    monkeypatch.setattr(joint_decoding, "MAX_TOKENS", max_tokens)
    scheme, scores, logits, possible = random_case(kind, n_labels, seed)
    constrained = constrain(scores, scheme)
    decided, new_logits = decode_jointly(constrained, logits, possible)
    alone = viterbi(constrained)
    n_changed = 0
    for doc, rows, found in best_pairs(scores, scheme, logits, possible):
        best = max(range(N_CLASSES), key=lambda index: found[index][0])
        assert new_logits[doc].argmax() == best
        assert decided.tags[rows].tolist() == list(found[best][1])
        if possible[logits[doc].argmax(), alone[rows]].all():
            assert new_logits[doc] == pytest.approx(logits[doc])
        else:
            n_changed += 1
            assert new_logits[doc] == pytest.approx([value for value, _ in found])
            assert np.isneginf(decided.emissions[rows][:, ~possible[best]]).all()
    assert n_changed


def test_what_fits_is_left_as_it_is():
    scheme, scores, logits, possible = random_case("BIO", 2, 0)
    constrained = constrain(scores, scheme)
    decided, new_logits = decode_jointly(constrained, logits, np.ones_like(possible))
    assert decided.tags.tolist() == viterbi(constrained).tolist()
    assert new_logits is logits
    assert decided.emissions is constrained.emissions


def test_probabilities_of_decided_tags_are_those_among_the_tags_that_fit():
    scheme, scores, logits, possible = random_case("BIO", 2, 1)
    decided, new_logits = decode_jointly(constrain(scores, scheme), logits, possible)
    found = path_probabilities(decided, decided.tags)
    for doc, rows, pairs in best_pairs(scores, scheme, logits, possible):
        fits = np.tile(possible[new_logits[doc].argmax()], (len(rows), 1))
        changed = np.isneginf(decided.emissions[rows]).any()
        values = [value for _, value in enumerate_paths(scores, scheme, doc, fits if changed else None)]
        path = tuple(decided.tags[rows].tolist())
        expected = dict(enumerate_paths(scores, scheme, doc))[path] - np.logaddexp.reduce(values)
        assert found[doc] == pytest.approx(np.exp(expected), rel=1e-8)
        assert len(pairs) == N_CLASSES
