"""The best trees of many sentences at once.

Where the best heads of a sentence form a tree, that is the best one. Where they form cycles, each cycle becomes one
node, which takes its best head (Chu and Liu 1965, Edmonds 1967). If there is no cycle then, this is the best tree.
Where several roots remain, the root is lowered, and the same is done again. Few sentences need more: these are left to
`best_tree`.

Scores are (n_sentences, n_words, n_words + 1) as those of `spanning_tree`, minus infinity behind a sentence's end.
"""

import numpy as np

from ...protocols.arrays import BoolsT, FloatsT, IntsT
from .spanning_tree import MARGIN, ROOT, are_trees, best_tree


def best_trees(scores: FloatsT, lengths: IntsT, *, single_root: bool = True) -> IntsT:
    """Find the tree with the highest sum of scores for each sentence.

    lengths (IntsT): Number of words of each sentence, (n_sentences,).
    single_root (bool): Whether exactly one word hangs from the root; otherwise at least one does.
    RETURNS (IntsT): The column of each word's head, (n_sentences, n_words).
    """
    columns = scores.argmax(axis=2)
    rows = np.flatnonzero(~are_trees(columns, lengths, single_root=single_root))
    if len(rows):
        columns[rows] = _contracted_trees(scores[rows].astype("d"), lengths[rows], single_root=single_root)
    return columns


def _contracted_trees(scores: FloatsT, lengths: IntsT, *, single_root: bool) -> IntsT:
    """Find the best trees of sentences whose best heads form none."""
    columns = _break_cycles(scores, lengths)
    if single_root:
        is_root = (columns == ROOT) & _inside(scores, lengths)
        rows = np.flatnonzero((is_root.sum(axis=1) > 1) & are_trees(columns, lengths, single_root=False))
        if len(rows):
            lowered = scores[rows]
            lowered[:, :, ROOT] -= _root_excess(lowered, columns[rows], is_root[rows])[:, None]
            columns[rows] = _break_cycles(lowered, lengths[rows])
    for row in np.flatnonzero(~are_trees(columns, lengths, single_root=single_root)).tolist():
        length = int(lengths[row])
        columns[row, :length] = best_tree(scores[row, :length, : length + 1], single_root=single_root)
    return columns


def _inside(scores: FloatsT, lengths: IntsT) -> BoolsT:
    """Whether there is a word, (n_sentences, n_words)."""
    inside: BoolsT = np.arange(scores.shape[1]) < lengths[:, None]
    return inside


def _break_cycles(scores: FloatsT, lengths: IntsT) -> IntsT:
    """Take the best heads, and give each cycle of these the head that costs least.

    RETURNS (IntsT): The column of each word's head, (n_sentences, n_words). If they form a tree, it is the best one.
    """
    columns = scores.argmax(axis=2)
    cycles = _cycles(np.where(_inside(scores, lengths), columns, ROOT))
    rows, nodes = np.nonzero(cycles >= 0)
    own = cycles[rows, nodes]
    options = scores[rows, nodes - 1]
    options[cycles[rows] == own[:, None]] = -np.inf
    heads = options.argmax(axis=1)
    places = np.arange(len(rows))
    gains = options[places, heads] - scores[rows, nodes - 1, columns[rows, nodes - 1]]
    # of the words of a cycle, the last one in this order gains most
    order = np.lexsort((gains, own, rows))
    cycle_of = rows[order] * cycles.shape[1] + own[order]
    chosen = order[np.diff(cycle_of, append=-1) != 0]
    columns[rows[chosen], nodes[chosen] - 1] = heads[chosen]
    return columns


def _cycles(columns: IntsT) -> IntsT:
    """Number the cycles of heads.

    columns (IntsT): The column of each word's head, (n_sentences, n_words).
    RETURNS (IntsT): For the root and each word the first word of the cycle that it is on, (n_sentences, n_words + 1);
        -1 for those on none.
    """
    n_sentences, size = columns.shape
    above = np.concatenate([np.zeros((n_sentences, 1), dtype="int64"), columns], axis=1)
    first = np.broadcast_to(np.arange(size + 1), above.shape)
    # after k rounds a word points at its ancestor 2^k steps above, and knows the first word on the way
    for _ in range(int(size).bit_length()):
        first = np.minimum(first, np.take_along_axis(first, above, axis=1))
        above = np.take_along_axis(above, above, axis=1)
    on_cycle = np.zeros(above.shape, dtype=bool)
    np.put_along_axis(on_cycle, above, True, axis=1)
    on_cycle[:, ROOT] = False
    return np.where(on_cycle, first, -1)


def _root_excess(scores: FloatsT, columns: IntsT, is_root: BoolsT) -> FloatsT:
    """By how much to lower the root so that all roots but one are worth attaching to a word of another tree.

    columns (IntsT): Trees with several roots, (n_sentences, n_words).
    is_root (BoolsT): Whether a word is one, (n_sentences, n_words).
    RETURNS (FloatsT): (n_sentences,).
    """
    size = scores.shape[1]
    tops = np.concatenate([np.zeros((len(scores), 1), dtype="int64"), columns], axis=1)
    tops = np.where(tops == ROOT, np.arange(size + 1), tops)
    for _ in range(int(size).bit_length()):
        tops = np.take_along_axis(tops, tops, axis=1)
    rows, words = np.nonzero(is_root)
    options = scores[rows, words]
    others = np.where(tops[rows] == words[:, None] + 1, -np.inf, options)[:, 1:]
    losses = options[:, ROOT] - others.max(axis=1)
    order = np.lexsort((losses, rows))
    second = losses[order[np.cumsum(is_root.sum(axis=1)) - 2]]
    finite = np.isfinite(scores)
    spread = np.where(finite, scores, -np.inf).max(axis=(1, 2)) - np.where(finite, scores, np.inf).min(axis=(1, 2))
    excess: FloatsT = second + MARGIN * spread
    return excess
