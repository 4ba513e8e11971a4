"""Scores of arcs and of their labels, and what a gradient of them is for the vectors that they come from.

An arc's score is the product of the dependent's vector and the head's, plus what each of the two gives the distance
and the direction of the other, plus what they give the words between them. A label's score is biaffine in two other
vectors (Dozat & Manning 2017), and the head's depends on its distance. The scores of a batch are never all in memory:
the vectors are, and a bucket of sentences at a time is scored.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from spacy.tokens import Doc
from thinc.util import get_array_module

from ...protocols.arrays import ArrayT, BoolsT, IntsT
from .sentence_pieces import Bucket
from .words_between import score_between

# Distances from which a head has another score, in words: 1, 2, 3, 4, 5 or 6, 7 to 9, and so on.
STEPS = (1, 2, 3, 4, 5, 7, 10, 15, 25)
N_DISTANCES = 2 * len(STEPS)
# kinds of words that an arc may pass over, such as verbs or commas
N_BETWEEN = 8
# the arrays that have gradients
POTENTIALS = (
    "dependents",
    "heads",
    "root",
    "distances",
    "head_distances",
    "between",
    "passing",
    "passed",
    "label_dependents",
    "label_heads",
    "label_root",
    "label_distances",
    "label_weights",
)
# arcs whose labels are scored at once: their products stay in the processor's cache
N_ARCS = 256


@dataclass
class ArcScores:
    """The vectors that scores are computed from, or their gradient.

    dependents (Floats2d): Of each token as a dependent, (n_tokens, width).
    heads (Floats2d): Of each token as a head, (n_tokens, width).
    root (Floats1d): Of the root as a head, (width,).
    distances (Floats2d): What each token as a dependent adds to the score of a head at each distance, right and left,
        (n_tokens, 2 * len(STEPS)).
    head_distances (Floats2d): What each token as a head adds to the score of a dependent at each distance, right and
        left, (n_tokens, 2 * len(STEPS)).
    between (Floats2d): How much of each kind each token is if it lies between the words of an arc,
        (n_tokens, N_BETWEEN).
    passing (Floats2d): What each token as a dependent gives for each kind between it and a head, for heads on its
        right, then for those on its left, (n_tokens, 2 * N_BETWEEN).
    passed (Floats2d): What each token as a head gives for each kind between it and a dependent, for dependents on its
        left, then for those on its right, (n_tokens, 2 * N_BETWEEN).
    label_dependents (Floats2d): Of each token as a dependent, for labels, (n_tokens, label_width).
    label_heads (Floats2d): Of each token as a head, (n_tokens, label_width).
    label_root (Floats1d): Of the root as a head, (label_width,).
    label_distances (Floats2d): What a head at each distance, right and left, adds to its vector for labels,
        (2 * len(STEPS), label_width).
    label_weights (Floats3d): (n_labels, label_width + 1, label_width + 1); the last row and column are biases.
    docs (Sequence[Doc]): The batch.
    starts (BoolsT | None): The tokens at which another head begins a sentence, (n_tokens,).
    """

    dependents: ArrayT
    heads: ArrayT
    root: ArrayT
    distances: ArrayT
    head_distances: ArrayT
    between: ArrayT
    passing: ArrayT
    passed: ArrayT
    label_dependents: ArrayT
    label_heads: ArrayT
    label_root: ArrayT
    label_distances: ArrayT
    label_weights: ArrayT
    docs: Sequence[Doc] = ()
    starts: BoolsT | None = None

    def __mul__(self, factor: float) -> "ArcScores":
        return self.with_potentials(part * factor for part in self.potentials)

    def __add__(self, other: "ArcScores") -> "ArcScores":
        return self.with_potentials(
            mine + theirs for mine, theirs in zip(self.potentials, other.potentials, strict=True)
        )

    @property
    def potentials(self) -> tuple[ArrayT, ...]:
        """The arrays that have gradients."""
        return tuple(getattr(self, name) for name in POTENTIALS)

    def with_potentials(self, potentials: Iterable[ArrayT]) -> "ArcScores":
        """Return other arrays for the same docs, in the order of `potentials`."""
        named = zip(POTENTIALS, potentials, strict=True)
        return replace(self, **dict(named))

    def zeros(self) -> "ArcScores":
        """Return a gradient of zeros."""
        xp = get_array_module(self.heads)
        return self.with_potentials(map(xp.zeros_like, self.potentials))


def score_arcs(scores: ArcScores, bucket: Bucket) -> tuple[ArrayT, Callable[[ArrayT, ArcScores], None]]:
    """Score all arcs of a bucket.

    RETURNS: scores (n_pieces, n_words, n_words + 1): a row for each dependent, column 0 for the root, column 1 + h for
        the head h, minus infinity for the word itself and behind the end; and backprop, which takes the gradient of
        the scores and adds that of the vectors to another one.
    """
    xp = get_array_module(scores.heads)
    tokens = xp.asarray(bucket.tokens)
    n_pieces, size = bucket.tokens.shape
    dependents = scores.dependents[tokens]
    with_root = xp.empty((n_pieces, size + 1, dependents.shape[2]), dtype=dependents.dtype)
    with_root[:, 0], with_root[:, 1:] = scores.root, scores.heads[tokens]
    heads = with_root[:, 1:]
    arcs = xp.matmul(dependents, with_root.transpose(0, 2, 1))
    places = xp.arange(size)
    steps = xp.asarray(_distance_indices(size))
    index = places[:, None] * N_DISTANCES + steps
    of_dependents, of_heads = (part[tokens].reshape(n_pieces, -1) for part in (scores.distances, scores.head_distances))
    arcs[:, :, 1:] += xp.take(of_dependents, index, axis=1)
    arcs[:, :, 1:] += xp.take(of_heads, index, axis=1).transpose(0, 2, 1)
    passed, bp_passed = score_between(*(part[tokens] for part in (scores.between, scores.passing, scores.passed)))
    arcs[:, :, 1:] += passed
    arcs[:, places, places + 1] = -xp.inf
    inside = xp.asarray(bucket.inside)
    if not bucket.inside.all():
        xp.copyto(arcs[:, :, 1:], -xp.inf, where=~inside[:, None, :])

    def backprop(d_arcs: ArrayT, gradient: ArcScores) -> None:
        rows = tokens[inside]
        d_words, d_root = d_arcs[:, :, 1:], d_arcs[:, :, :1]
        gradient.dependents[rows] += (xp.matmul(d_words, heads) + d_root * scores.root)[inside]
        gradient.heads[rows] += xp.matmul(d_words.transpose(0, 2, 1), dependents)[inside]
        gradient.root[:] += (d_root * dependents).sum(axis=(0, 1))
        gradient.distances[rows] += _sum_by_distance(d_words)[inside]
        gradient.head_distances[rows] += _sum_by_distance(d_words.transpose(0, 2, 1))[inside]
        parts = (gradient.between, gradient.passing, gradient.passed)
        for part, d_part in zip(parts, bp_passed(d_words), strict=True):
            part[rows] += d_part[inside]

    return arcs, backprop


def score_labels(
    scores: ArcScores, dependents: IntsT, heads: IntsT
) -> tuple[ArrayT, Callable[[ArrayT, ArcScores], None]]:
    """Score the labels of some arcs.

    dependents, heads (IntsT): The tokens of each arc, (n_arcs,); a head of -1 is the root.
    RETURNS: scores (n_arcs, n_labels), and backprop, which takes the gradient of the scores and adds that of the
        vectors to another one.
    """
    xp = get_array_module(scores.heads)
    n_labels, size = scores.label_weights.shape[:2]
    weights = scores.label_weights.reshape(n_labels, -1)
    vectors = xp.concatenate([scores.label_heads, scores.label_root[None]])
    # the root is at no distance
    distances = xp.concatenate([scores.label_distances, xp.zeros_like(scores.label_root)[None]])
    rows, columns = xp.asarray(dependents), xp.asarray(heads)
    steps = xp.asarray(np.where(heads < 0, N_DISTANCES, _distance_index(heads - dependents)))
    mine, theirs = _with_one(scores.label_dependents[rows]), _with_one(vectors[columns] + distances[steps])
    logits = xp.empty((len(dependents), n_labels), dtype=weights.dtype)
    for part in _parts(len(dependents)):
        logits[part] = _products(mine[part], theirs[part]) @ weights.T

    def backprop(d_logits: ArrayT, gradient: ArcScores) -> None:
        d_vectors, d_distances = xp.zeros_like(vectors), xp.zeros_like(distances)
        d_weights = gradient.label_weights.reshape(n_labels, -1)
        for part in _parts(len(dependents)):
            d_weights += d_logits[part].T @ _products(mine[part], theirs[part])
            d_products = (d_logits[part] @ weights).reshape(-1, size, size)
            gradient.label_dependents[rows[part]] += xp.matmul(d_products, theirs[part][:, :, None])[:, :-1, 0]
            d_heads = xp.matmul(mine[part][:, None], d_products)[:, 0, :-1]
            xp.add.at(d_vectors, columns[part], d_heads)
            xp.add.at(d_distances, steps[part], d_heads)
        gradient.label_heads[:] += d_vectors[:-1]
        gradient.label_root[:] += d_vectors[-1]
        gradient.label_distances[:] += d_distances[:-1]

    return logits, backprop


def _parts(size: int) -> list[slice]:
    return [slice(start, start + N_ARCS) for start in range(0, size, N_ARCS)]


def _with_one(vectors: ArrayT) -> ArrayT:
    """Append a column of ones: (n, width) -> (n, width + 1)."""
    xp = get_array_module(vectors)
    return xp.concatenate([vectors, xp.ones((len(vectors), 1), dtype=vectors.dtype)], axis=1)


def _products(mine: ArrayT, theirs: ArrayT) -> ArrayT:
    """All products of two rows' numbers, (n, size) and (n, size) -> (n, size * size)."""
    return (mine[:, :, None] * theirs[:, None, :]).reshape(len(mine), -1)


def _distance_indices(size: int) -> IntsT:
    """The column of the distance from each word (row) to each other one (column), (size, size)."""
    table = _distance_table(1 << max(size - 1, 1).bit_length())
    return table[:size, :size]


@cache
def _distance_table(size: int) -> IntsT:
    places = np.arange(size)
    return _distance_index(places - places[:, None])


def _distance_index(distance: IntsT) -> IntsT:
    """The column of each distance from a word to another, which is positive on the right."""
    step = np.searchsorted(STEPS, np.abs(distance), side="right") - 1
    return np.where(distance > 0, step, step + len(STEPS)).clip(min=0)


def _sum_by_distance(d_words: ArrayT) -> ArrayT:
    """Sum the gradients of all heads at the same distance, (n_pieces, size, size) -> (n_pieces, size, n_distances).

    They are neighbours, so that each sum is a difference of two cumulated ones.
    """
    xp: Any = get_array_module(d_words)
    n_pieces, size, _ = d_words.shape
    total = xp.zeros((n_pieces, size, size + 1), dtype=d_words.dtype)
    xp.cumsum(d_words, axis=2, out=total[:, :, 1:])
    places = np.arange(size)[:, None]
    nearest = np.array(STEPS)
    beyond = np.array([*STEPS[1:], size + STEPS[-1]])
    firsts = np.concatenate([places + nearest, places - beyond + 1], axis=1).clip(0, size)
    ends = np.concatenate([places + beyond, places - nearest + 1], axis=1).clip(0, size)
    rows = xp.asarray(places)
    return total[:, rows, xp.asarray(ends)] - total[:, rows, xp.asarray(firsts)]
