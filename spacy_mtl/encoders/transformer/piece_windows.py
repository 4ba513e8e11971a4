"""Windows of words that a transformer reads together, with overlap where a doc is too long to be read at once."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...layers.ragged_rows import bounds
from ...protocols.arrays import ArrayT


class Windows(NamedTuple):
    """Windows over the words of a batch, and the own words of each, which take their vectors from it.

    Every word is an own word of exactly one window. Of several windows that read it, that is the one in which it has
    the most context. All arrays hold indices of words in the batch, (n_windows,).

    starts (Ints1d): First word of each window.
    ends (Ints1d): The word after its last one.
    own_starts (Ints1d): Its first own word.
    own_ends (Ints1d): The word after its last own word.
    """

    starts: ArrayT
    ends: ArrayT
    own_starts: ArrayT
    own_ends: ArrayT


def plan_piece_windows(lengths: Sequence[int], counts: ArrayT, *, max_pieces: int, overlap: int) -> Windows:
    """Plan one window for each doc, or several for a doc with more than `max_pieces` pieces.

    lengths (Sequence[int]): Number of words of each doc. Docs without words get no window.
    counts (Ints1d): Number of pieces of each word, at most `max_pieces`, (n_words,).
    max_pieces (int): Maximum number of pieces in a window.
    overlap (int): Maximum number of pieces that neighbouring windows share, less than `max_pieces`.

    A doc of 6 words with one piece each, max_pieces = 4 and overlap = 2 gets the windows of words 0 to 3 and 2 to 5;
    words 0 to 2 are the first one's own: starts = [0, 2], ends = [4, 6], own_starts = [0, 3], own_ends = [3, 6].
    """
    pieces = bounds(counts)
    ends = bounds(lengths)
    starts, ends = ends[:-1], ends[1:]
    filled = starts < ends
    starts, ends = starts[filled], ends[filled]
    if (pieces[ends] - pieces[starts] <= max_pieces).all():
        return Windows(starts, ends, starts, ends)
    rows: list[tuple[int, int, int, int]] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        rows.extend(_windows_of_doc(start, end, pieces, max_pieces, overlap))
    return Windows(*np.array(rows, dtype="int64").reshape(-1, 4).T)


def _windows_of_doc(
    start: int, end: int, pieces: ArrayT, max_pieces: int, overlap: int
) -> list[tuple[int, int, int, int]]:
    spans = []
    while pieces[end] - pieces[start] > max_pieces:
        stop = int(np.searchsorted(pieces, pieces[start] + max_pieces, side="right")) - 1
        spans.append((start, stop))
        again = int(np.searchsorted(pieces, pieces[stop] - overlap, side="left"))
        start = max(again, start + 1)
    spans.append((start, end))
    middles = [(one[1] + other[0]) // 2 for one, other in pairwise(spans)]
    own = zip([spans[0][0], *middles], [*middles, end], strict=True)
    return [(*span, *bounds) for span, bounds in zip(spans, own, strict=True)]
