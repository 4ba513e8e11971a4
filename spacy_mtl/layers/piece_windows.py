"""What a transformer reads at once: windows over the word pieces of docs, and batches of windows of like length."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy

from ..types import ArrayT
from .ranges import ranges

# what the calls for one batch cost, in pieces; measured with a transformer of six layers on a CPU
BATCH_COST = 32


class Windows(NamedTuple):
    """Words that are read together, and those of them that get their vectors from here. All are words of the batch,
    (n_windows,); a word that several windows read belongs to the one in which it has the most words on either side.
    """

    starts: ArrayT
    ends: ArrayT
    own_starts: ArrayT
    own_ends: ArrayT


class WindowBatch(NamedTuple):
    """A rectangle of piece ids, and where the pieces of its own words lie in it.

    ids (Ints2d): (n_windows, n_positions), with special tokens and padding.
    mask (Ints2d): 0 where there is padding, else 1; of the same shape.
    places (Ints1d): Of the own words' pieces in the flat rectangle, (n_pieces,).
    words (Ints1d): The own words, in the order of the windows, (n_words,).
    counts (Ints1d): How many pieces each of them has, (n_words,).
    """

    ids: ArrayT
    mask: ArrayT
    places: ArrayT
    words: ArrayT
    counts: ArrayT


class SpecialPieces(NamedTuple):
    """What stands before and after the pieces of a text, and for padding."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    pad: int

    @property
    def n_added(self) -> int:
        """How many pieces a window has besides those of its words."""
        return len(self.prefix) + len(self.suffix)


def plan_windows(lengths: Sequence[int], counts: ArrayT, *, max_pieces: int, overlap: int) -> Windows:
    """One window a doc, several for a doc with more than `max_pieces`.

    lengths (Sequence[int]): Words of each doc. Docs without words get no window.
    counts (Ints1d): Pieces of each word, none more than `max_pieces`, (n_words,).
    overlap (int): Pieces that neighbouring windows share, at most. Less than `max_pieces`.
    """
    pieces = numpy.concatenate([[0], numpy.cumsum(counts)])
    rows: list[tuple[int, int, int, int]] = []
    end = 0
    for length in lengths:
        start, end = end, end + length
        if length:
            rows.extend(_windows_of_doc(start, end, pieces, max_pieces, overlap))
    return Windows(*numpy.array(rows, dtype="int64").reshape(-1, 4).T)


def _windows_of_doc(
    start: int, end: int, pieces: ArrayT, max_pieces: int, overlap: int
) -> list[tuple[int, int, int, int]]:
    spans = []
    while pieces[end] - pieces[start] > max_pieces:
        stop = int(numpy.searchsorted(pieces, pieces[start] + max_pieces, side="right")) - 1
        spans.append((start, stop))
        again = int(numpy.searchsorted(pieces, pieces[stop] - overlap, side="left"))
        start = max(again, start + 1)
    spans.append((start, end))
    middles = [(one[1] + other[0]) // 2 for one, other in pairwise(spans)]
    own = zip([spans[0][0], *middles], [*middles, end], strict=True)
    return [(*span, *bounds) for span, bounds in zip(spans, own, strict=True)]


def batch_windows(windows: Windows, counts: ArrayT, *, n_added: int, max_batch: int) -> list[ArrayT]:
    """Windows of like length together, in the batches that cost least: padding costs as much as text, and each batch
    as much as `BATCH_COST` pieces more.

    n_added (int): Special pieces of each window.
    max_batch (int): Pieces of a batch with its padding, at most; a longer window is a batch by itself.
    RETURNS (list[Ints1d]): The windows of each batch, the longest first.
    """
    pieces = numpy.concatenate([[0], numpy.cumsum(counts)])
    sizes = pieces[windows.ends] - pieces[windows.starts] + n_added
    order = numpy.argsort(-sizes, kind="stable")
    batches: list[ArrayT] = []
    for start, end in cheapest_cuts(sizes[order]):
        n_windows = max(1, max_batch // max(int(sizes[order[start]]), 1))
        batches.extend(order[first : min(first + n_windows, end)] for first in range(start, end, n_windows))
    return batches


def cheapest_cuts(sizes: ArrayT) -> list[tuple[int, int]]:
    """Cut windows that are sorted by size, the longest first, into batches: the best of all ways to do so.

    sizes (Ints1d): Pieces of each window, (n_windows,).
    RETURNS: Start and end of each batch.
    """
    if not len(sizes):
        return []
    widths, starts = numpy.unique(-sizes, return_index=True)
    ends = [*starts[1:].tolist(), len(sizes)]
    costs, froms = numpy.zeros(len(widths) + 1), [0] * (len(widths) + 1)
    for last, end in enumerate(ends, 1):
        totals = costs[:last] + (end - starts[:last]) * -widths[:last] + BATCH_COST
        froms[last] = int(totals.argmin())
        costs[last] = totals[froms[last]]
    cuts, last = [], len(widths)
    while last:
        cuts.append((int(starts[froms[last]]), ends[last - 1]))
        last = froms[last]
    return cuts[::-1]


def fill_batch(windows: Windows, chosen: ArrayT, ids: ArrayT, counts: ArrayT, special: SpecialPieces) -> WindowBatch:
    """The batch of the chosen windows.

    ids (Ints1d): Pieces of all words, (n_pieces,). counts (Ints1d): Pieces of each word, (n_words,).
    """
    ends = numpy.cumsum(counts)
    pieces = numpy.concatenate([[0], ends])
    starts, stops = windows.starts[chosen], windows.ends[chosen]
    sizes = pieces[stops] - pieces[starts]
    width = int(sizes.max()) + special.n_added
    rectangle = numpy.full((len(chosen), width), special.pad, dtype="int64")
    mask = numpy.arange(width) < (sizes + special.n_added)[:, None]
    n_prefix = len(special.prefix)
    rectangle[:, :n_prefix] = special.prefix
    corners = numpy.arange(len(chosen)) * width + n_prefix
    rectangle.reshape(-1)[ranges(corners, sizes)] = ids[ranges(pieces[starts], sizes)]
    for i, piece in enumerate(special.suffix):
        rectangle[numpy.arange(len(chosen)), n_prefix + sizes + i] = piece
    own_starts, own_ends = windows.own_starts[chosen], windows.own_ends[chosen]
    words = ranges(own_starts, own_ends - own_starts)
    places = ranges(corners + pieces[own_starts] - pieces[starts], pieces[own_ends] - pieces[own_starts])
    return WindowBatch(rectangle, mask.astype("int64"), places, words, counts[words])
