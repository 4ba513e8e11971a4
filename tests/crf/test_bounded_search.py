"""The bounded search for tags against brute force over all tag sequences."""

from itertools import combinations

import numpy as np
import pytest
from crf_cases import LENGTHS, enumerate_paths, random_scores

from spacy_mtl.crf.bounded_search import search_tags
from spacy_mtl.crf.linear_chain import constrain
from spacy_mtl.crf.seen_types import Costs
from spacy_mtl.crf.tag_scheme import make_tag_scheme
from spacy_mtl.crf.viterbi import make_lattice

N_CLASSES = 2
# nats that no regret reaches
NO_LIMIT = 1e9
RUNNING = np.flatnonzero(LENGTHS)
# each doc in each class
DOCS, CLASSES = np.repeat(RUNNING, N_CLASSES), np.tile(np.arange(N_CLASSES), len(RUNNING))


def random_case(kind, seed, *, cost):
    scheme = make_tag_scheme(kind, 2)
    rng = np.random.default_rng(seed)
    pairs = rng.exponential(size=(N_CLASSES, 2, 2))
    costs = Costs(cost * rng.exponential(size=(N_CLASSES, 2)), cost * (pairs + pairs.transpose(0, 2, 1)))
    return scheme, constrain(random_scores(scheme, seed=seed, size=1.0), scheme), costs


def search(scores, scheme, costs, limits, **settings):
    lattice = make_lattice(scores)
    best = lattice.best(np.arange(len(scores.emissions)))
    return search_tags(lattice.scores, best, scheme, costs, docs=DOCS, classes=CLASSES, limits=limits, **settings)


def regrets_of(scores, scheme, doc, index, costs):
    """The regret of each tag sequence of a doc, by the definition."""
    paths = list(enumerate_paths(scores, scheme, doc))
    best = max(value for _, value in paths)
    for path, value in paths:
        labels = scheme.spans(np.array(path))[2].tolist()
        cost = sum(costs.types[index, label] for label in labels)
        cost += sum(costs.pairs[index, one, other] for one, other in combinations(labels, 2))
        yield path, best - value + cost


def least_regrets(scores, scheme, costs):
    """The tags with least regret, and their regret, for each search."""
    for doc, index in zip(DOCS, CLASSES, strict=True):
        yield min(regrets_of(scores, scheme, doc, index, costs), key=lambda found: found[1])


@pytest.mark.parametrize("cost", [0.1, 2.0, 1e4])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["BIO", "BILUO"])
def test_the_tags_with_least_regret_are_found(kind, seed, cost):
    scheme, scores, costs = random_case(kind, seed, cost=cost)
    expected = list(least_regrets(scores, scheme, costs))
    result = search(scores, scheme, costs, np.full(len(DOCS), NO_LIMIT), width=10_000)
    assert result.regrets == pytest.approx([regret for _, regret in expected], abs=1e-5)
    assert result.tags.tolist() == [tag for path, _ in expected for tag in path]
    assert np.isinf(result.bounds).all()


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_narrow_search_tells_how_good_other_tags_can_be(width):
    n_missed = 0
    for seed in range(10):
        scheme, scores, costs = random_case("BIO", seed, cost=1.0)
        expected = np.array([regret for _, regret in least_regrets(scores, scheme, costs)])
        result = search(scores, scheme, costs, np.full(len(DOCS), NO_LIMIT), width=width)
        assert (np.minimum(result.regrets, result.bounds) <= expected + 1e-5).all()
        exact = result.regrets <= result.bounds
        assert result.regrets[exact] == pytest.approx(expected[exact], abs=1e-5)
        n_missed += (result.regrets > expected + 1e-5).sum()
    assert n_missed or width > 1


def test_nothing_is_found_below_the_least_regret():
    scheme, scores, costs = random_case("BIO", 0, cost=1.0)
    expected = np.array([regret for _, regret in least_regrets(scores, scheme, costs)])
    limits = np.where(np.arange(len(DOCS)) % 2, expected + 0.01, expected - 0.01)
    found = search(scores, scheme, costs, limits).regrets
    assert np.isinf(found[::2]).all()
    assert found[1::2] == pytest.approx(expected[1::2], abs=1e-5)
