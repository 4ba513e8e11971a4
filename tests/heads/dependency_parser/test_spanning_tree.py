"""Spanning trees against all trees of up to seven words: random scores, ties, one root and several."""

import itertools
from functools import cache

import numpy as np
import pytest

from spacy_mtl.heads.dependency_parser.batched_trees import best_trees
from spacy_mtl.heads.dependency_parser.projective_tree import best_projective_tree, is_projective
from spacy_mtl.heads.dependency_parser.spanning_tree import ROOT, are_trees, best_tree, is_tree

SIZES = range(1, 8)


def reaches_root(columns):
    for word in range(1, len(columns) + 1):
        seen = set()
        while word:
            if word in seen:
                return False
            seen.add(word)
            word = columns[word - 1]
    return True


def spans_are_contiguous(columns):
    """Projective in the words' own terms: all that hangs from a word, directly or not, is one span."""
    n_words = len(columns)
    for word in range(1, n_words + 1):
        below = set()
        for other in range(1, n_words + 1):
            at = other
            while at and at != word:
                at = columns[at - 1]
            if at == word:
                below.add(other)
        if max(below) - min(below) + 1 != len(below):
            return False
    return True


@cache
def all_trees(n_words):
    """Every forest under the root, (n_trees, n_words); which of them have one root; which are projective."""
    if n_words == 7:  # eight to the seventh assignments: filter with arrays
        grid = np.stack(np.meshgrid(*[np.arange(8)] * 7, indexing="ij"), axis=-1).reshape(-1, 7)
        reached = np.concatenate([np.zeros((len(grid), 1), dtype=int), grid], axis=1)
        for _ in range(3):
            reached = np.take_along_axis(reached, reached, axis=1)
        trees = grid[~reached.any(axis=1)]
    else:
        trees = np.array(
            [heads for heads in itertools.product(range(n_words + 1), repeat=n_words) if reaches_root(heads)]
        )
    return trees, (trees == ROOT).sum(axis=1) == 1


def best_score(scores, *, single_root):
    trees, single = all_trees(len(scores))
    if single_root:
        trees = trees[single]
    return scores[np.arange(len(scores)), trees].sum(axis=1).max()


def draw_scores(rng, n_words, kind):
    scores = {
        "normal": lambda: rng.normal(size=(n_words, n_words + 1)),
        "ties": lambda: rng.integers(0, 3, size=(n_words, n_words + 1)).astype("d"),
        "equal": lambda: np.zeros((n_words, n_words + 1)),
        "large": lambda: rng.normal(size=(n_words, n_words + 1)) * 1e4,
        "float32": lambda: rng.normal(size=(n_words, n_words + 1)).astype("f").astype("d") * 30,
        "root": lambda: rng.normal(size=(n_words, n_words + 1)) + 5 * (np.arange(n_words + 1) == ROOT),
    }[kind]()
    scores[np.arange(n_words), np.arange(n_words) + 1] = -np.inf
    return scores


def total(scores, columns):
    return scores[np.arange(len(scores)), columns].sum()


def test_number_of_trees_is_cayleys():
    for n_words in SIZES:
        trees, single = all_trees(n_words)
        assert len(trees) == (n_words + 1) ** (n_words - 1)
        assert single.sum() == n_words ** (n_words - 1)


@pytest.mark.parametrize("single_root", [True, False])
@pytest.mark.parametrize("kind", ["normal", "ties", "equal", "large", "float32", "root"])
@pytest.mark.parametrize("n_words", SIZES)
def test_best_tree_equals_brute_force(n_words, kind, single_root):
    rng = np.random.default_rng(n_words)
    for _ in range(3 if n_words == 7 else 40):
        scores = draw_scores(rng, n_words, kind)
        columns = best_tree(scores, single_root=single_root)
        assert is_tree(columns, single_root=single_root)
        assert reaches_root(columns)
        assert total(scores, columns) == pytest.approx(best_score(scores, single_root=single_root), rel=1e-12)


def padded_scores(rng, kind, sizes):
    """Scores of sentences of these lengths, and minus infinity behind their ends."""
    batch = np.full((len(sizes), max(sizes), max(sizes) + 1), -np.inf)
    batch[:, :, ROOT] = rng.normal(size=batch.shape[:2])
    for row, n_words in enumerate(sizes):
        batch[row, :n_words, : n_words + 1] = draw_scores(rng, n_words, kind)
    return batch


@pytest.mark.parametrize("dtype", ["d", "f"])
@pytest.mark.parametrize("single_root", [True, False])
@pytest.mark.parametrize("kind", ["normal", "ties", "equal", "large", "root"])
def test_best_trees_of_a_batch_equal_brute_force(kind, single_root, dtype):
    rng = np.random.default_rng(0)
    sizes = [*rng.integers(1, 7, size=300), 7]
    batch = padded_scores(rng, kind, sizes).astype(dtype)
    for size, scores, columns in zip(
        sizes, batch, best_trees(batch, np.array(sizes), single_root=single_root), strict=True
    ):
        scores, columns = scores[:size, : size + 1].astype("d"), columns[:size]
        assert is_tree(columns, single_root=single_root)
        assert total(scores, columns) == pytest.approx(best_score(scores, single_root=single_root), rel=1e-12)


@pytest.mark.parametrize("single_root", [True, False])
def test_trees_of_a_batch_of_long_sentences_are_those_of_each_alone(single_root):
    rng = np.random.default_rng(0)
    sizes = rng.integers(20, 60, size=60)
    batch = padded_scores(rng, "normal", sizes)
    found = best_trees(batch, sizes, single_root=single_root)
    for size, scores, columns in zip(sizes, batch, found, strict=True):
        alone = best_tree(scores[:size, : size + 1], single_root=single_root)
        assert columns[:size].tolist() == alone.tolist()


@pytest.mark.parametrize("kind", ["normal", "ties", "equal", "large", "root"])
@pytest.mark.parametrize("n_words", range(1, 7))
def test_best_projective_tree_equals_brute_force(n_words, kind):
    rng = np.random.default_rng(n_words)
    trees, single = all_trees(n_words)
    projective = np.array([spans_are_contiguous(tree) for tree in trees])
    for single_root, allowed in ((True, projective & single), (False, projective)):
        for _ in range(20):
            scores = draw_scores(rng, n_words, kind)
            columns = best_projective_tree(scores, single_root=single_root)
            assert is_tree(columns, single_root=single_root)
            assert spans_are_contiguous(columns)
            best = scores[np.arange(n_words), trees[allowed]].sum(axis=1).max()
            assert total(scores, columns) == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("n_words", range(1, 7))
def test_trees_are_told_from_others(n_words):
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, n_words + 1, size=(300, n_words))
    for single_root in (True, False):
        expected = [reaches_root(row) and (not single_root or (row == ROOT).sum() == 1) for row in drawn]
        assert are_trees(drawn, np.full(300, n_words), single_root=single_root).tolist() == expected
        # what stands behind the end of a sentence does not count
        padded = np.concatenate([drawn, rng.integers(0, n_words + 1, size=(300, 3))], axis=1)
        assert are_trees(padded, np.full(300, n_words), single_root=single_root).tolist() == expected


@pytest.mark.parametrize("n_words", range(1, 7))
def test_projective_trees_are_told_from_others(n_words):
    for tree in all_trees(n_words)[0][:3000]:
        assert is_projective(tree) == spans_are_contiguous(tree)


def test_long_sentences():
    rng = np.random.default_rng(0)
    for n_words in (50, 300):
        scores = draw_scores(rng, n_words, "normal")
        columns = best_tree(scores)
        assert is_tree(columns)
        # no single arc can be exchanged for a better one
        for word in rng.integers(0, n_words, size=30):
            for head in rng.integers(1, n_words + 1, size=30):
                other = columns.copy()
                other[word] = head
                if is_tree(other):
                    assert total(scores, other) <= total(scores, columns)
    assert is_tree(best_projective_tree(draw_scores(rng, 80, "normal")))
