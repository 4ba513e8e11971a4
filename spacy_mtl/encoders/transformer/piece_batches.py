"""Batches for a transformer: windows of similar length together, with several windows in a row (sequence packing) if
the transformer can keep them apart.
"""

from bisect import bisect_left, insort
from typing import NamedTuple

import numpy as np

from ...layers.ragged_rows import bounds, row_owners, row_ranges
from ...protocols.arrays import ArrayT
from .piece_windows import Windows

# Cost of the calls for one batch, in pieces, measured in training with a transformer of six layers on a CPU.
BATCH_COST = 32
# The same on an H100, where six layers of width 384 take as long for one piece as for 6,000.
GPU_BATCH_COST = 6000
# Additional cost of a piece for each position of its row, in pieces, measured in the same way.
ATTENTION_COST = 0.001


class SpecialPieces(NamedTuple):
    """The ids of a transformer's special pieces.

    prefix (tuple[int, ...]): Pieces before a text, such as [CLS].
    suffix (tuple[int, ...]): Pieces after a text, such as [SEP].
    pad (int): The piece of padding.
    """

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    pad: int

    @property
    def n_added(self) -> int:
        """Number of special pieces around the words of a window."""
        return len(self.prefix) + len(self.suffix)


class RowLayout(NamedTuple):
    """The layout of the windows in the rows of a batch.

    windows (Ints1d): Indices of the windows, (n_windows,).
    rows (Ints1d): Row of each window in the batch, (n_windows,).
    offsets (Ints1d): Position of the first piece of each window in its row, (n_windows,).
    """

    windows: ArrayT
    rows: ArrayT
    offsets: ArrayT


class WindowBatch(NamedTuple):
    """The pieces of a batch, and those of them that belong to the windows' own words (see `Windows`).

    ids (Ints2d): Ids of the pieces, with special pieces and padding, (n_rows, n_positions).
    texts (Ints2d): The window of each piece, counted from 1 in the batch; 0 for padding, (n_rows, n_positions).
    positions (Ints2d): Index of each piece in its window, (n_rows, n_positions).
    own_positions (Ints1d): Index of each piece of an own word in `ids.reshape(-1)`, (n_own_pieces,).
    words (Ints1d): Indices of the own words, in the order of the windows, (n_own_words,).
    counts (Ints1d): Number of pieces of each own word, (n_own_words,).
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
    """Sort windows by length and cut them into the batches that cost the least. Padding costs as much as text, each
    batch costs as much as `batch_cost` pieces, and a piece costs more in a long row than in a short one.

    windows (Windows): The windows.
    counts (Ints1d): Number of pieces of each word, (n_words,).
    n_added (int): Number of special pieces of each window.
    max_batch (int): Maximum number of pieces in a batch, padding included. A longer window is a batch of its own.
    pack_sequences (bool): Whether several windows may share a row (sequence packing), which leaves less padding.
    batch_cost (int): Cost of a batch, in pieces.
    RETURNS (list[RowLayout]): The layout of each batch, the longest windows first.
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
    """Find the cheapest of all ways to cut sorted windows into batches, by dynamic programming.

    sizes (Ints1d): Number of pieces of each window, the longest first, (n_windows,).
    pack_sequences (bool): Whether several windows may share a row. Padding is not counted then.
    batch_cost (int): Cost of a batch, in pieces.
    RETURNS (list[tuple[int, int]]): Start and end of each batch.

    For sizes = [60, 50, 5, 5, 4] and a batch cost of 32 the cuts are [(0, 2), (2, 5)]: to pad 50 to 60 costs 10, less
    than another batch, but to pad the three short windows to 60 would cost 166, more than another batch.
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
    """Pack windows into rows by best fit: each window goes into the fullest row that has room for it.

    sizes (Ints1d): Number of pieces of each window, at most `width`, the longest first, (n_windows,).
    width (int): Number of positions in a row.
    RETURNS: The row of each window, and the position of its first piece there, (n_windows,) each.

    Windows of 6, 4, 3, 2 and 1 pieces fill two rows of 8 positions: row 0 takes 6 and 2, row 1 takes 4, 3 and 1;
    rows = [0, 1, 1, 0, 1], offsets = [0, 0, 4, 6, 7].
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
    """Fill a batch with the pieces of its windows.

    windows (Windows): All windows.
    chosen (RowLayout): The windows of this batch.
    ids (Ints1d): Ids of the pieces of all words, (n_pieces,).
    counts (Ints1d): Number of pieces of each word, (n_words,).
    special (SpecialPieces): The special pieces.

    Docs of 4, 1 and 1 pieces, with 101 before and 102 after each, fill two rows, since the two short ones share one:
    ids = [[101, 10, 11, 12, 13, 102], [101, 14, 102, 101, 15, 102]],
    texts = [[1, 1, 1, 1, 1, 1], [2, 2, 2, 3, 3, 3]], positions = [[0, 1, 2, 3, 4, 5], [0, 1, 2, 0, 1, 2]].
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
