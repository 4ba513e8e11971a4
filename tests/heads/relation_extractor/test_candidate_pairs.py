"""Candidate pairs against a plain double loop."""

import numpy as np
import pytest

from spacy_mtl.heads.relation_extractor.candidate_pairs import find_pairs
from spacy_mtl.heads.relation_extractor.entity_source import from_rows


def draw_entities(rng, n_docs, n_entities):
    """Entities that may overlap or be nested, in any order, and the docs' lengths."""
    lengths = rng.integers(0, 40, n_docs)
    rows = set()
    for doc in np.flatnonzero(lengths):
        for _ in range(rng.integers(0, n_entities + 1)):
            start = int(rng.integers(0, lengths[doc]))
            rows.add((int(doc), start, int(rng.integers(start + 1, min(start + 5, lengths[doc]) + 1))))
    rows = [(*row, int(rng.integers(0, 3))) for row in rows]
    rng.shuffle(rows)
    return from_rows(rows, ("A", "B", "C")), lengths.tolist()


def by_loop(entities, *, max_distance=None):
    """Directed pairs of places in the same doc."""
    places = list(zip(entities.docs.tolist(), entities.starts.tolist(), entities.ends.tolist(), strict=True))
    pairs = set()
    for one in places:
        for other in places:
            gap = max(one[1], other[1]) - min(one[2], other[2])
            if one[0] == other[0] and one != other and (max_distance is None or gap <= max_distance):
                pairs.add((one, other))
    return pairs


def as_set(pairs):
    columns = (pairs.entities.docs, pairs.entities.starts, pairs.entities.ends)
    places = list(zip(*(column.tolist() for column in columns), strict=True))
    found = [(places[head], places[tail]) for head, tail in zip(pairs.heads, pairs.tails, strict=True)]
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize("max_distance", [None, 0, 3, 10])
@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_those_of_a_double_loop(seed, max_distance):
    entities, lengths = draw_entities(np.random.default_rng(seed), 8, 9)
    pairs = find_pairs(entities, lengths, max_distance=max_distance, max_pairs=10**6)
    assert as_set(pairs) == by_loop(entities, max_distance=max_distance)
    assert not pairs.left_out.any()
    starts = pairs.entities.starts
    assert (starts[pairs.first] <= starts[pairs.second]).all()


@pytest.mark.parametrize("max_pairs", [1, 2, 7, 20, 35, 36])
def test_pairs_with_few_entities_between_them_stay(max_pairs):
    """Nine entities make 36 pairs: 8 of neighbours, 7 with one entity between them, and so on."""
    entities = from_rows([(1, start, start + 1, 0) for start in range(9)], ("A",))
    pairs = find_pairs(entities, [3, 9, 0], max_pairs=max_pairs)
    assert len(pairs.first) == max_pairs
    assert pairs.left_out.tolist() == [0, 36 - max_pairs, 0]
    between = (pairs.second - pairs.first).tolist()
    assert sorted(between) == sorted(other - one for one in range(9) for other in range(one + 1, 9))[:max_pairs]


def test_each_doc_has_its_own_limit():
    rows = [(doc, start, start + 1, 0) for doc, size in enumerate((4, 0, 3, 5)) for start in range(size)]
    pairs = find_pairs(from_rows(rows, ("A",)), [4, 2, 3, 5], max_pairs=5)
    docs = pairs.entities.docs[pairs.first]
    assert np.bincount(docs, minlength=4).tolist() == [5, 0, 3, 5]
    assert pairs.left_out.tolist() == [1, 0, 0, 5]


def test_memory_is_bounded_for_thousands_of_entities():
    """All pairs of 20,000 entities would be 200 million."""
    rows = [(0, start, start + 1, 0) for start in range(20000)]
    pairs = find_pairs(from_rows(rows, ("A",)), [20000], max_pairs=30000)
    assert len(pairs.first) == 30000
    assert pairs.left_out.tolist() == [20000 * 19999 // 2 - 30000]


def test_two_types_at_one_place_make_no_pair():
    pairs = find_pairs(from_rows([(0, 1, 2, 0), (0, 1, 2, 1), (0, 4, 5, 0)], ("A", "B")), [6], max_pairs=10)
    assert len(pairs.first) == 2


def test_no_docs_and_no_entities():
    for lengths in ([], [3, 0]):
        pairs = find_pairs(from_rows([], ()), lengths, max_pairs=10)
        assert len(pairs.heads) == len(pairs.tails) == 0
        assert pairs.left_out.tolist() == [0] * len(lengths)


def test_types_that_the_head_does_not_know_have_row_zero():
    entities = from_rows([(0, 3, 4, 1), (0, 0, 1, 0), (0, 5, 6, 2)], ("A", "B", "C"))
    pairs = find_pairs(entities, [6], ["B", "A"], max_pairs=10)
    assert pairs.types.tolist() == [2, 1, 0]
