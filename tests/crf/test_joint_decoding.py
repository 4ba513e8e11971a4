"""Joint decoding against brute force over all combinations of a class and a tag sequence."""

from itertools import combinations

import numpy as np
import pytest
from crf_cases import LENGTHS, enumerate_paths, random_scores

from spacy_mtl.crf import joint_decoding
from spacy_mtl.crf.beam_search import beam_search
from spacy_mtl.crf.joint_decoding import costs_of, decode_jointly
from spacy_mtl.crf.linear_chain import constrain
from spacy_mtl.crf.path_probability import path_log_scores, path_probabilities
from spacy_mtl.crf.seen_types import Costs
from spacy_mtl.crf.tag_scheme import make_tag_scheme
from spacy_mtl.crf.viterbi import viterbi
from spacy_mtl.layers.softmax import log_softmax

N_CLASSES = 3
RUNNING = np.flatnonzero(LENGTHS)
CASES = pytest.mark.parametrize(("kind", "n_labels"), [("BIO", 2), ("BILUO", 2)])
SEEDS = pytest.mark.parametrize("seed", range(4))
# costs in nats: far less than scores differ by, about as much, and so much that they forbid
SIZES = pytest.mark.parametrize("cost", [0.1, 2.0, 1e4])


def random_case(kind, n_labels, seed, *, size=2.0, cost=2.0):
    """Scheme, raw scores, logits of classes, and costs, of which some are zero."""
    scheme = make_tag_scheme(kind, n_labels)
    rng = np.random.default_rng(seed)
    pairs = rng.exponential(size=(N_CLASSES, n_labels, n_labels)) * (rng.random((N_CLASSES, n_labels, n_labels)) < 0.6)
    types = rng.exponential(size=(N_CLASSES, n_labels)) * (rng.random((N_CLASSES, n_labels)) < 0.6)
    costs = Costs(cost * types, cost * (pairs + pairs.transpose(0, 2, 1)))
    logits = rng.normal(size=(len(LENGTHS), N_CLASSES)) * 2
    return scheme, random_scores(scheme, seed=seed, size=size), logits, costs


def rows_of(doc):
    return np.repeat(np.arange(len(LENGTHS)), LENGTHS) == doc


def cost_of(path, index, scheme, costs):
    """By the definition."""
    labels = scheme.spans(np.array(path))[2].tolist()
    alone = sum(costs.types[index, label] for label in labels)
    return alone + sum(costs.pairs[index, one, other] for one, other in combinations(labels, 2))


def best_paths(scores, scheme, doc, costs):
    """The best tags with each class after their costs, with what is left of their log-potentials."""
    paths = list(enumerate_paths(scores, scheme, doc))
    for index in range(N_CLASSES):
        values = [value - cost_of(path, index, scheme, costs) for path, value in paths]
        best = int(np.argmax(values))
        yield paths[best][0], values[best]


@CASES
@SEEDS
def test_costs_are_by_the_definition(kind, n_labels, seed):
    scheme, scores, logits, costs = random_case(kind, n_labels, seed)
    tags, classes = viterbi(constrain(scores, scheme)), logits.argmax(axis=1)
    expected = [cost_of(tags[rows_of(doc)], classes[doc], scheme, costs) for doc in range(len(LENGTHS))]
    assert costs_of(tags, LENGTHS, classes, scheme, costs).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("max_tokens", [1, 2**13], ids=["doc by doc", "at once"])
@SIZES
@SEEDS
@CASES
def test_tags_and_classes_are_the_best_combinations(kind, n_labels, seed, cost, max_tokens, monkeypatch):
    monkeypatch.setattr(joint_decoding, "MAX_TOKENS", max_tokens)
    scheme, scores, logits, costs = random_case(kind, n_labels, seed, cost=cost)
    constrained = constrain(scores, scheme)
    decided, new_logits = decode_jointly(constrained, logits, scheme, costs)
    alone, n_changed = viterbi(constrained), 0
    for doc in RUNNING:
        found = list(best_paths(scores, scheme, doc, costs))
        joint = log_softmax(logits[doc : doc + 1])[0] + [value for _, value in found]
        best = joint.argmax()
        assert new_logits[doc].argmax() == best
        assert decided.tags[rows_of(doc)].tolist() == list(found[best][0])
        if cost_of(alone[rows_of(doc)], logits[doc].argmax(), scheme, costs) == 0:
            assert new_logits[doc] == pytest.approx(logits[doc])
        else:
            n_changed += 1
            assert (new_logits[doc] - new_logits[doc].max() >= joint - joint.max() - 1e-6).all()
            assert (np.delete(new_logits[doc], best) < new_logits[doc, best]).all()
    assert n_changed


def test_all_tags_and_classes_are_tried_that_may_win():
    """Where all classes are about as good, each combination is right that enumeration finds."""
    n_new = 0
    for seed in range(30):
        scheme, scores, logits, costs = random_case("BIO", 2, seed, size=0.7, cost=1.0)
        logits *= 0.1
        decided, new_logits = decode_jointly(constrain(scores, scheme), logits, scheme, costs)
        for doc in RUNNING:
            found = list(best_paths(scores, scheme, doc, costs))
            joint = log_softmax(logits[doc : doc + 1])[0] + [value for _, value in found]
            assert new_logits[doc].argmax() == joint.argmax()
            assert decided.tags[rows_of(doc)].tolist() == list(found[joint.argmax()][0])
            n_new += joint.argmax() != logits[doc].argmax()
    assert n_new > 10


def test_what_costs_nothing_is_left_as_it_is():
    scheme, scores, logits, costs = random_case("BIO", 2, 0)
    constrained = constrain(scores, scheme)
    nothing = Costs(np.zeros_like(costs.types), np.zeros_like(costs.pairs))
    decided, new_logits = decode_jointly(constrained, logits, scheme, nothing)
    assert decided.tags.tolist() == viterbi(constrained).tolist()
    assert new_logits is logits
    assert decided.emissions is constrained.emissions


def without_types(scores, scheme, costs, index):
    """Scores from which the costs of single entities of a class are taken, and the costs of pairs."""
    begins = scheme.starts & (scheme.label >= 0)
    off = np.where(begins, costs.types[index][scheme.label], 0.0)
    running = constrain(scores, scheme)
    running.emissions, running.lengths = running.emissions - off, LENGTHS[RUNNING]
    return running


@pytest.mark.parametrize("width", [16, 10_000])
@SIZES
@SEEDS
@CASES
def test_beam_search_finds_the_best_tags(kind, n_labels, seed, cost, width):
    scheme, scores, _, costs = random_case(kind, n_labels, seed, size=1.0, cost=cost)
    for index in range(N_CLASSES):
        running = without_types(scores, scheme, costs, index)
        tags = beam_search(running, scheme, costs, np.full(len(RUNNING), index), width=width)
        for doc in RUNNING:
            assert tags[rows_of(doc)].tolist() == list(list(best_paths(scores, scheme, doc, costs))[index][0])


def test_a_narrow_beam_keeps_apart_what_must_not_come_together():
    scheme = make_tag_scheme("BILUO", 4)
    lengths, classes = np.array([30, 1, 12]), np.zeros(3, dtype=int)
    scores = constrain(random_scores(scheme, lengths), scheme)
    costs = Costs(np.zeros((1, 4)), np.full((1, 4, 4), 1e4))
    totals = []
    for width in (1, 4, 64):
        tags = beam_search(scores, scheme, costs, classes, width=width)
        assert not costs_of(tags, lengths, classes, scheme, costs).any()
        totals.append(path_log_scores(scores, tags))
    assert np.isfinite(totals).all()
    assert (totals[0] <= totals[2]).all()


def test_probabilities_of_decided_tags_are_those_after_the_costs_of_their_class():
    scheme, scores, logits, costs = random_case("BIO", 2, 1)
    decided, new_logits = decode_jointly(constrain(scores, scheme), logits, scheme, costs)
    found = path_probabilities(decided, decided.tags)
    alone = Costs(costs.types, np.zeros_like(costs.pairs))
    n_changed = 0
    for doc in RUNNING:
        changed = not np.array_equal(new_logits[doc], logits[doc])
        n_changed += changed
        index = new_logits[doc].argmax()
        values = {
            path: value - changed * cost_of(path, index, scheme, alone)
            for path, value in enumerate_paths(scores, scheme, doc)
        }
        path = tuple(decided.tags[rows_of(doc)].tolist())
        expected = values[path] - np.logaddexp.reduce(list(values.values()))
        assert found[doc] == pytest.approx(np.exp(expected), rel=1e-6)
    assert n_changed
