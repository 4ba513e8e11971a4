"""Which rows of a layer's input each window of a batch of documents is made of.

Vectors of all documents lie in one array, without the rows of padding that nobody reads.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...layers.ragged_rows import first_rows, row_ranges

# numpy integers
IndexT = Any
# plans for one doc no longer than this are kept: the case of short texts, one at a time
KEPT_LENGTH = 200


class WindowPlan(NamedTuple):
    """How the layers of an encoder read from each other.

    windows (list[Ints2d]): For each layer the rows of its input that each of its tiles reads,
        (2 * window + tile, n_tiles + 1). The last tile reads only the row that stands for all positions far from a doc.
        The layer's output has tile * (n_tiles + 1) rows, all first positions of a tile before all second, and stands
        for the positions far away in its last row. The first layer's input is a row of zeros, then one row a token.
    tokens (Ints1d): The row of each token in the last layer's output.
    """

    windows: list[IndexT]
    tokens: IndexT


class _Rows(NamedTuple):
    """Where a layer's outputs lie: the row of each position, doc after doc, with `pad` positions on either side of the
    doc's tokens, and the row of every position farther out.
    """

    rows: IndexT
    lengths: IndexT
    pad: int
    rest: int


def plan_windows(lengths: Sequence[int], *, window: int, tiles: Sequence[int], padded: bool) -> WindowPlan:
    """Plan all layers for docs of these lengths, none of them 0.

    tiles (Sequence[int]): How many neighbouring positions each layer computes at a time.
    padded (bool): Whether the layers compute positions outside the docs.
    """
    make = _plan_kept if len(lengths) == 1 and lengths[0] <= KEPT_LENGTH else _plan
    return make(tuple(lengths), window, tuple(tiles), padded)


def _plan(lengths: tuple[int, ...], window: int, tiles: tuple[int, ...], padded: bool) -> WindowPlan:
    depth = len(tiles)
    rows = _Rows(np.arange(1, sum(lengths) + 1), np.array(lengths), pad=0, rest=0)
    windows = []
    for i, tile in enumerate(tiles, start=1):
        # Layer i sees a doc from i * window positions away, and what lies farther than (depth - i) * window from it
        # reaches none of its tokens any more.
        pad = min(i, depth - i) * window if padded else 0
        index, rows = _window_rows(rows, pad=pad, window=window, tile=tile)
        windows.append(index)
    return WindowPlan(windows, rows.rows)


_plan_kept = lru_cache(maxsize=256)(_plan)


def _window_rows(source: _Rows, *, pad: int, window: int, tile: int) -> tuple[IndexT, _Rows]:
    """Cut the positions of each doc, `pad` on either side included, into tiles; see `WindowPlan.windows`."""
    lengths = source.lengths + 2 * (pad - source.pad)
    tiles = (lengths + tile - 1) // tile
    # Each doc gets a margin of rest rows, so that no window has to be cut.
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
