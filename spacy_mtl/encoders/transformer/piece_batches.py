"""What a transformer reads at once: batches of windows of like length, several windows to a row if it can tell them
apart.
"""

from bisect import bisect_left, insort
from typing import NamedTuple

import numpy as np

from ...layers.ragged_rows import bounds, row_owners, row_ranges
from ...protocols.arrays import ArrayT
from .piece_windows import Windows

# what the calls for one batch cost, in pieces; measured in training with a transformer of six layers on a CPU
BATCH_COST = 32
# likewise on an H100, where six layers of width 384 cost as much for one piece as for 6,000
GPU_BATCH_COST = 6000
# what a piece costs more for each position of its row, in pieces; measured likewise
ATTENTION_COST = 0.001


class SpecialPieces(NamedTuple):
    """What stands before and after the pieces of a text, and for padding."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    pad: int

    @property
    def n_added(self) -> int:
        """How many pieces a window has besides those of its words."""
        return len(self.prefix) + len(self.suffix)


class RowLayout(NamedTuple):
    """Where the windows of a batch lie.

    windows (Ints1d): Their numbers, (n_windows,).
    rows (Ints1d): The row of each in the batch, (n_windows,).
    offsets (Ints1d): The position in its row at which each begins, (n_windows,).
    """

    windows: ArrayT
    rows: ArrayT
    offsets: ArrayT


class WindowBatch(NamedTuple):
    """A rectangle of piece ids, and where the pieces of its own words lie in it.

    ids (Ints2d): (n_rows, n_positions), with special tokens and padding.
    texts (Ints2d): Which of the batch's windows each piece is of, from 1; 0 where there is padding; of the same shape.
    positions (Ints2d): The index of each piece in its window, of the same shape.
    own_positions (Ints1d): Of the own words' pieces in the flat rectangle, (n_pieces,).
    words (Ints1d): The own words, in the order of the windows, (n_words,).
    counts (Ints1d): How many pieces each of them has, (n_words,).
    """

    ids: ArrayT
    texts: ArrayT
    positions: ArrayT
    own_positions: ArrayT
    words: ArrayT
    counts: ArrayT


def batch_windows(
    windows: Windows,
    counts: ArrayT,
    *,
    n_added: int,
    max_batch: int,
    pack_sequences: bool = False,
    batch_cost: int = BATCH_COST,
) -> list[RowLayout]:
    """Windows of like length together, in the batches that cost least: padding costs as much as text, each batch as
    much as `batch_cost` pieces more, and long rows more than short ones.

    n_added (int): Special pieces of each window.
    max_batch (int): Pieces of a batch with its padding, at most; a longer window is a batch by itself.
    pack_sequences (bool): Whether several windows may share a row (sequence packing), which leaves less padding.
    RETURNS (list[RowLayout]): The windows of each batch, the longest first.
    """
    pieces = bounds(counts)
    sizes = pieces[windows.ends] - pieces[windows.starts] + n_added
    order = np.argsort(-sizes, kind="stable")
    batches: list[RowLayout] = []
    for start, end in cheapest_cuts(sizes[order], pack_sequences=pack_sequences, batch_cost=batch_cost):
        chosen = order[start:end]
        width = max(int(sizes[chosen[0]]), 1)
        rows, offsets = fill_rows(sizes[chosen], width) if pack_sequences else (np.arange(end - start), 0 * chosen)
        n_rows = max(1, max_batch // width)
        for first in range(0, int(rows.max()) + 1, n_rows):
            part = (rows >= first) & (rows < first + n_rows)
            batches.append(RowLayout(chosen[part], rows[part] - first, offsets[part]))
    return batches


def cheapest_cuts(
    sizes: ArrayT, *, pack_sequences: bool = False, batch_cost: int = BATCH_COST
) -> list[tuple[int, int]]:
    """Cut windows that are sorted by size, the longest first, into batches: the best of all ways to do so.

    sizes (Ints1d): Pieces of each window, (n_windows,).
    pack_sequences (bool): Whether several windows may share a row. Then no padding is counted.
    RETURNS: Start and end of each batch.
    """
    if not len(sizes):
        return []
    widths, starts = np.unique(-sizes, return_index=True)
    widths = -widths
    ends = [*starts[1:].tolist(), len(sizes)]
    before = bounds(sizes)
    costs, froms = np.zeros(len(widths) + 1), [0] * (len(widths) + 1)
    for last, end in enumerate(ends, 1):
        n_pieces = before[end] - before[starts[:last]] if pack_sequences else (end - starts[:last]) * widths[:last]
        totals = costs[:last] + n_pieces * (1 + ATTENTION_COST * widths[:last]) + batch_cost
        froms[last] = int(totals.argmin())
        costs[last] = totals[froms[last]]
    cuts, last = [], len(widths)
    while last:
        cuts.append((int(starts[froms[last]]), ends[last - 1]))
        last = froms[last]
    return cuts[::-1]


def fill_rows(sizes: ArrayT, width: int) -> tuple[ArrayT, ArrayT]:
    """Put windows in as few rows as best-fit finds: each in the fullest row that has room for it.

    sizes (Ints1d): Pieces of each window, none more than `width`, the longest first, (n_windows,).
    RETURNS: The row of each window and the position at which it begins there, (n_windows,) each.
    """
    rows, offsets = [], []
    room: list[tuple[int, int]] = []
    n_rows = 0
    for size in sizes.tolist():
        fullest = bisect_left(room, (size, -1))
        if fullest == len(room):
            left, row = width, n_rows
            n_rows += 1
        else:
            left, row = room.pop(fullest)
        rows.append(row)
        offsets.append(width - left)
        insort(room, (left - size, row))
    return np.array(rows, dtype="int64"), np.array(offsets, dtype="int64")


def fill_batch(windows: Windows, chosen: RowLayout, ids: ArrayT, counts: ArrayT, special: SpecialPieces) -> WindowBatch:
    """The batch of the chosen windows.

    ids (Ints1d): Pieces of all words, (n_pieces,). counts (Ints1d): Pieces of each word, (n_words,).
    """
    pieces = bounds(counts)
    starts, stops = windows.starts[chosen.windows], windows.ends[chosen.windows]
    sizes = pieces[stops] - pieces[starts]
    totals = sizes + special.n_added
    width = int((chosen.offsets + totals).max())
    shape = (int(chosen.rows.max()) + 1, width)
    corners = chosen.rows * width + chosen.offsets
    text_starts = corners + len(special.prefix)
    whole = row_ranges(corners, totals)
    texts, positions = (np.zeros(shape, dtype="int64") for _ in range(2))
    texts.reshape(-1)[whole] = 1 + row_owners(totals)
    positions.reshape(-1)[whole] = whole - np.repeat(corners, totals)
    rectangle = np.full(shape, special.pad, dtype="int64")
    flat = rectangle.reshape(-1)
    flat[row_ranges(text_starts, sizes)] = ids[row_ranges(pieces[starts], sizes)]
    for i, piece in enumerate(special.prefix):
        flat[corners + i] = piece
    for i, piece in enumerate(special.suffix):
        flat[text_starts + sizes + i] = piece
    own_starts, own_ends = windows.own_starts[chosen.windows], windows.own_ends[chosen.windows]
    words = row_ranges(own_starts, own_ends - own_starts)
    own_positions = row_ranges(text_starts + pieces[own_starts] - pieces[starts], pieces[own_ends] - pieces[own_starts])
    return WindowBatch(rectangle, texts, positions, own_positions, words, counts[words])
