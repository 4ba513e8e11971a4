"""What a transformer reads together: windows over the word pieces of docs."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...layers.ragged_rows import bounds
from ...protocols.arrays import ArrayT


class Windows(NamedTuple):
    """Words that are read together, and those of them that get their vectors from here. All are words of the batch,
    (n_windows,); a word that several windows read belongs to the one in which it has the most words on either side.
    """

    starts: ArrayT
    ends: ArrayT
    own_starts: ArrayT
    own_ends: ArrayT


def plan_piece_windows(lengths: Sequence[int], counts: ArrayT, *, max_pieces: int, overlap: int) -> Windows:
    """One window a doc, several for a doc with more than `max_pieces`.

    lengths (Sequence[int]): Words of each doc. Docs without words get no window.
    counts (Ints1d): Pieces of each word, none more than `max_pieces`, (n_words,).
    overlap (int): Pieces that neighbouring windows share, at most. Less than `max_pieces`.
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
