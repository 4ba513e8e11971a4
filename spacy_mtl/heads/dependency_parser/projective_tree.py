"""The best projective tree of a sentence (Eisner 1996), and the best row of such trees for a text without sentences.

A span is complete if its head is at one end and has all its dependents there, and incomplete if an arc connects its two
ends. Spans are built from short to long; each length is one operation on arrays, O(n³) numbers altogether.

Scores are (n_words, n_words + 1): a row for each dependent, column 0 for the root and column 1 + h for the head h.
"""

from dataclasses import dataclass

import numpy as np

from ...protocols.arrays import FloatsT, IntsT
from .spanning_tree import ROOT, are_trees

LEFT, RIGHT = 0, 1


@dataclass
class Chart:
    """The best spans from word i to word j, all (2, n_words, n_words). The first index says where the head is.

    complete (FloatsT): Score of the best complete span.
    complete_split (IntsT): The word at which it is made of an incomplete and a complete span.
    incomplete_split (IntsT): The word after which an incomplete span is made of two complete ones.
    """

    complete: FloatsT
    complete_split: IntsT
    incomplete_split: IntsT


def best_projective_trees(scores: FloatsT, lengths: IntsT, *, single_root: bool = True) -> IntsT:
    """Find the best projective tree of each sentence. Where the best heads form one, it is that.

    scores (FloatsT): (n_sentences, n_words, n_words + 1), minus infinity behind a sentence's end.
    lengths (IntsT): Number of words of each sentence, (n_sentences,).
    RETURNS (IntsT): The column of each word's head, (n_sentences, n_words).
    """
    columns = scores.argmax(axis=2)
    good = are_trees(columns, lengths, single_root=single_root)
    for row, length in enumerate(lengths.tolist()):
        if not good[row] or not is_projective(columns[row, :length]):
            own = scores[row, :length, : length + 1].astype("d")
            columns[row, :length] = best_projective_tree(own, single_root=single_root)
    return columns


def best_projective_tree(scores: FloatsT, *, single_root: bool = True) -> IntsT:
    """Find the projective tree with the highest sum of scores.

    scores (FloatsT): (n_words, n_words + 1), finite except for a word as its own head, which is never used.
    single_root (bool): Whether exactly one word hangs from the root. Otherwise the result is a row of such trees, one
        after the other.
    RETURNS (IntsT): The column of each word's head, (n_words,).
    """
    chart = _fill(scores[:, 1:])
    columns = np.zeros(len(scores), dtype="int64")
    for start, root, end in _one_tree(scores, chart) if single_root else _trees(scores, chart):
        columns[root] = ROOT
        _walk(chart, columns, [(RIGHT, start, root), (LEFT, root, end)])
    return columns


def is_projective(columns: IntsT) -> bool:
    """Check whether no two arcs cross. An arc from the root crosses those that span its dependent.

    columns (IntsT): The column of each word's head, (n_words,).
    """
    words = np.arange(1, len(columns) + 1)
    starts, ends = np.minimum(words, columns), np.maximum(words, columns)
    crosses = (starts[:, None] < starts) & (starts < ends[:, None]) & (ends[:, None] < ends)
    from_root = np.flatnonzero(columns == ROOT)
    spanned = (starts[:, None] < words[from_root]) & (words[from_root] < ends[:, None]) & (columns != ROOT)[:, None]
    inner = crosses & (columns != ROOT)[:, None] & (columns != ROOT)
    return not inner.any() and not spanned.any()


def _fill(arcs: FloatsT) -> Chart:
    """Fill the chart. arcs: score of the head (column) of each dependent (row), (n_words, n_words)."""
    n_words = len(arcs)
    complete = np.full((2, n_words, n_words), -np.inf)
    incomplete = complete.copy()
    complete[:, range(n_words), range(n_words)] = 0.0
    splits = np.zeros((2, 2, n_words, n_words), dtype="int64")
    for width in range(1, n_words):
        starts = np.arange(n_words - width)
        ends = starts + width
        inner = starts[:, None] + np.arange(width)  # the words from each start to the one before its end
        row = np.arange(len(starts))
        joined = complete[LEFT, starts[:, None], inner] + complete[RIGHT, inner + 1, ends[:, None]]
        best = joined.argmax(axis=1)
        incomplete[LEFT, starts, ends] = joined[row, best] + arcs[ends, starts]
        incomplete[RIGHT, starts, ends] = joined[row, best] + arcs[starts, ends]
        splits[1, :, starts, ends] = (starts + best)[:, None]
        leftward = incomplete[LEFT, starts[:, None], inner + 1] + complete[LEFT, inner + 1, ends[:, None]]
        rightward = complete[RIGHT, starts[:, None], inner] + incomplete[RIGHT, inner, ends[:, None]]
        for side, options, shift in ((LEFT, leftward, 1), (RIGHT, rightward, 0)):
            best = options.argmax(axis=1)
            complete[side, starts, ends] = options[row, best]
            splits[0, side, starts, ends] = starts + best + shift
    return Chart(complete, splits[0], splits[1])


def _one_tree(scores: FloatsT, chart: Chart) -> list[tuple[int, int, int]]:
    """The first word, the root and the last word of the best tree over all words."""
    last = len(scores) - 1
    root = int((scores[:, ROOT] + chart.complete[RIGHT, 0] + chart.complete[LEFT, :, last]).argmax())
    return [(0, root, last)]


def _trees(scores: FloatsT, chart: Chart) -> list[tuple[int, int, int]]:
    """The first word, the root and the last word of each of the best trees that follow one another."""
    n_words = len(scores)
    best = np.full(n_words + 1, -np.inf)  # of the words before each word
    best[0] = 0.0
    from_start = np.zeros(n_words, dtype="int64")  # where the tree of a root begins
    until_root = np.full(n_words, -np.inf)
    roots = np.zeros(n_words + 1, dtype="int64")
    for word in range(n_words):
        options = best[: word + 1] + chart.complete[RIGHT, : word + 1, word]
        from_start[word] = options.argmax()
        until_root[word] = options[from_start[word]] + scores[word, ROOT]
        ends = until_root[: word + 1] + chart.complete[LEFT, : word + 1, word]
        roots[word + 1] = ends.argmax()
        best[word + 1] = ends[roots[word + 1]]
    found = []
    end = n_words
    while end:
        root = int(roots[end])
        found.append((int(from_start[root]), root, end - 1))
        end = int(from_start[root])
    return found


def _walk(chart: Chart, columns: IntsT, spans: list[tuple[int, int, int]]) -> None:
    """Write the heads in complete spans, given as (side of the head, first word, last word)."""
    while spans:
        side, start, end = spans.pop()
        if start == end:
            continue
        split = int(chart.complete_split[side, start, end])
        if side == LEFT:
            columns[split] = start + 1
            spans.append((LEFT, split, end))
            arc = (LEFT, start, split)
        else:
            columns[split] = end + 1
            spans.append((RIGHT, start, split))
            arc = (RIGHT, split, end)
        middle = int(chart.incomplete_split[arc])
        spans += [(LEFT, arc[1], middle), (RIGHT, middle + 1, arc[2])]
