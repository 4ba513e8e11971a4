"""The rows of a layer's input that each window of a batch of docs consists of.

The vectors of all docs lie in one array, which leaves out the rows of padding that no token depends on.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...layers.ragged_rows import first_rows, row_ranges

# numpy integers
IndexT = Any
# Plans for a single doc of up to this many tokens are kept, for users who predict short texts one at a time.
KEPT_LENGTH = 200


class WindowPlan(NamedTuple):
    """The rows that each layer of an encoder reads from the output of the layer before it.

    A layer computes tiles of neighbouring positions. A tile needs the positions themselves and `window` neighbours on
    either side. One row of each array, the rest row, stands for all positions far from any doc.

    windows (list[Ints2d]): For each layer the rows of its input that each tile reads, (2 * window + tile, n_tiles + 1).
        The last tile is not part of a doc and reads only the rest row. The input of the first layer is a row of zeros,
        which is its rest row, then a row for each token. The output of a layer has tile * (n_tiles + 1) rows: the first
        positions of all tiles, then the second ones; its last row is the rest row.
    tokens (Ints1d): The row of each token in the output of the last layer, (n_tokens,).

    Docs of 3 and 2 tokens have the input rows 1, 2, 3 and 4, 5. With one layer, window = 1 and tile = 2 there are two
    tiles for the first doc, one for the second and the last one, in columns:
    windows[0] = [[0, 2, 0, 0], [1, 3, 4, 0], [2, 0, 5, 0], [3, 0, 0, 0]], tokens = [0, 4, 1, 2, 6].
    """

    windows: list[IndexT]
    tokens: IndexT


class _Rows(NamedTuple):
    """The rows of a layer's output.

    rows (Ints1d): The row of each position, doc after doc, with the padding of each doc.
    lengths (Ints1d): Number of positions of each doc, padding included, (n_docs,).
    pad (int): Number of positions of padding on either side of a doc.
    rest (int): The row of all positions farther away.
    """

    rows: IndexT
    lengths: IndexT
    pad: int
    rest: int


def plan_windows(lengths: Sequence[int], *, window: int, tiles: Sequence[int], padded: bool) -> WindowPlan:
    """Plan all layers.

    lengths (Sequence[int]): Number of tokens of each doc, none of them 0.
    window (int): Number of neighbours that a layer sees on either side.
    tiles (Sequence[int]): Number of neighbouring positions that each layer computes at a time.
    padded (bool): Whether the layers compute positions outside the docs.
    """
    make = _plan_kept if len(lengths) == 1 and lengths[0] <= KEPT_LENGTH else _plan
    return make(tuple(lengths), window, tuple(tiles), padded)


def _plan(lengths: tuple[int, ...], window: int, tiles: tuple[int, ...], padded: bool) -> WindowPlan:
    depth = len(tiles)
    rows = _Rows(np.arange(1, sum(lengths) + 1), np.array(lengths), pad=0, rest=0)
    windows = []
    for i, tile in enumerate(tiles, start=1):
        # Positions up to i * window away from a doc depend on its tokens after layer i. Of these, only positions up to
        # (depth - i) * window away can still influence a token in the layers that follow.
        pad = min(i, depth - i) * window if padded else 0
        index, rows = _window_rows(rows, pad=pad, window=window, tile=tile)
        windows.append(index)
    return WindowPlan(windows, rows.rows)


_plan_kept = lru_cache(maxsize=256)(_plan)


def _window_rows(source: _Rows, *, pad: int, window: int, tile: int) -> tuple[IndexT, _Rows]:
    """Cut the positions of each doc, with `pad` positions on either side, into tiles.

    RETURNS: The rows that each tile reads, as in `WindowPlan.windows`, and the rows of the layer's output.
    """
    lengths = source.lengths + 2 * (pad - source.pad)
    tiles = (lengths + tile - 1) // tile
    # A margin of rest rows around each doc makes all windows complete.
    margin = pad - source.pad + window
    spaced = source.lengths + 2 * margin + tile - 1
    spaced_starts = first_rows(spaced)
    spread = np.full(spaced.sum(), source.rest)
    spread[row_ranges(spaced_starts + margin, source.lengths)] = source.rows
    n_tiles = int(tiles.sum())
    index = np.full((2 * window + tile, n_tiles + 1), source.rest)
    index[:, :-1] = spread[row_ranges(spaced_starts, tiles, step=tile) + np.arange(len(index))[:, None]]
    position = row_ranges(np.zeros_like(lengths), lengths)
    rows = position % tile * (n_tiles + 1) + position // tile + np.repeat(first_rows(tiles), lengths)
    return index, _Rows(rows, lengths, pad, rest=tile * (n_tiles + 1) - 1)
