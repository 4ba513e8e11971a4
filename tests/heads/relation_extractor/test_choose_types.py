"""Types and relations decided together, against all combinations."""

from itertools import product

import numpy as np
import pytest

from spacy_mtl.heads.relation_extractor import choose_types
from spacy_mtl.heads.relation_extractor.candidate_pairs import find_pairs
from spacy_mtl.heads.relation_extractor.choose_types import choose, places_of, ruled_out_relations, with_alternatives
from spacy_mtl.heads.relation_extractor.entity_source import from_rows


def draw(seed, n_places=4, n_docs=2):
    rng = np.random.default_rng(seed)
    rows = [
        (doc, start, start + 1, label)
        for doc in range(n_docs)
        for start in range(n_places)
        for label in range(rng.integers(1, 4))
    ]
    pairs = find_pairs(from_rows(rows, ("A", "B", "C")), [n_places] * n_docs, max_pairs=1000)
    return pairs, -rng.exponential(size=len(rows)), -rng.exponential(size=len(pairs.first)) * 2


def total(kept, pairs, prior, values):
    return prior[kept].sum() + values[kept[pairs.first] & kept[pairs.second]].sum()


def best_of_all(pairs, prior, values):
    """The largest sum over all combinations of one candidate a place."""
    places = places_of(pairs.entities)
    candidates = [np.flatnonzero(places == place) for place in range(places.max() + 1)]
    sums = []
    for combination in product(*candidates):
        kept = np.zeros(len(places), dtype=bool)
        kept[list(combination)] = True
        sums.append(total(kept, pairs, prior, values))
    return max(sums)


@pytest.mark.parametrize("seed", range(8))
def test_the_best_of_all_combinations_is_chosen(seed):
    pairs, prior, values = draw(seed, n_places=3)
    kept = choose(pairs, prior, values)
    assert np.bincount(places_of(pairs.entities)[kept]).tolist() == [1] * 6
    assert total(kept, pairs, prior, values) == pytest.approx(best_of_all(pairs, prior, values))


@pytest.mark.parametrize("seed", range(4))
def test_too_many_combinations_are_improved_one_by_one(seed, monkeypatch):
    """The sum is at least that of the likeliest types, and no single change makes it larger."""
    monkeypatch.setattr(choose_types, "MAX_TRIED", 1)
    pairs, prior, values = draw(seed, n_places=4, n_docs=1)
    kept = choose(pairs, prior, values)
    places = places_of(pairs.entities)
    first = np.zeros(len(places), dtype=bool)
    first[[max(np.flatnonzero(places == place), key=lambda one: prior[one]) for place in range(4)]] = True
    own = total(kept, pairs, prior, values)
    assert own >= total(first, pairs, prior, values) - 1e-9
    for other in np.flatnonzero(~kept):
        changed = kept & (places != places[other])
        changed[other] = True
        assert total(changed, pairs, prior, values) <= own + 1e-6


def test_alternatives_are_the_types_within_the_margin():
    entities = from_rows([(1, 0, 1, 0), (0, 2, 4, 1)], ("A", "B", "C"))
    scores = np.array([[0.0, -1.0, -9.0], [-2.0, 0.0, -2.5]])
    candidates, prior = with_alternatives(entities, scores)
    assert candidates.docs.tolist() == [0, 0, 0, 1, 1]
    assert candidates.labels.tolist() == [0, 1, 2, 0, 1]
    assert prior.tolist() == [-2.0, 0.0, -2.5, 0.0, -1.0]


def test_nothing_to_choose():
    pairs = find_pairs(from_rows([], ()), [3], max_pairs=10)
    assert choose(pairs, np.zeros(0), np.zeros(0)).tolist() == []


def test_types_pay_for_the_relations_that_they_rule_out():
    """Candidates 1 and 2 are one place; with the type of 2 the label is impossible, with that of 1 it has 0.75."""
    pairs = find_pairs(from_rows([(0, 0, 1, 0), (0, 2, 3, 0), (0, 2, 3, 1)], ("A", "B")), [3], max_pairs=10)
    assert list(zip(pairs.heads.tolist(), pairs.tails.tolist(), strict=True)) == [(0, 1), (1, 0), (0, 2), (2, 0)]
    probabilities = np.array([[0.75], [0.1], [0.0], [0.2]])
    allowed = np.array([[True], [True], [False], [True]])
    costs = ruled_out_relations(pairs, probabilities, allowed)
    assert costs.tolist() == [0.0, 0.0, pytest.approx(np.log(0.25)), 0.0]
