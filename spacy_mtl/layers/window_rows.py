"""Which rows of a layer's input each window of a batch of documents is made of.

Vectors of all documents lie in one array, without the rows of padding that nobody reads.
"""

from typing import Any, NamedTuple

import numpy

# numpy integers
IndexT = Any


class Rows(NamedTuple):
    """Where the vectors of a batch lie in an array.

    rows (Ints1d): The row of each position, doc after doc.
    lengths (Ints1d): Positions per doc: its tokens and `pad` positions on either side.
    pad (int): How many positions before the first token and after the last have a row of their own.
    rest (int): The one row that stands for every position farther out.
    """

    rows: IndexT
    lengths: IndexT
    pad: int
    rest: int


def kept_padding(depth: int, window: int) -> list[int]:
    """How far from a doc the outputs of each layer differ from one another and are still read by a token.

    Layer i sees the doc from i * window positions away, and what lies farther than (depth - i) * window from the doc
    reaches no token any more.
    """
    return [min(i, depth - i) * window for i in range(1, depth + 1)]


def window_rows(source: Rows, *, pad: int, window: int, tile: int) -> tuple[IndexT, Rows]:
    """Cut the positions of each doc, with `pad` positions on either side, into tiles of `tile` neighbours.

    source (Rows): The layer's input.
    RETURNS: The rows that each tile reads, (2 * window + tile, n_tiles + 1), of which the last tile reads the rest
        only; and the rows of the layer's output, whose array is (tile, n_tiles + 1, width) as (-1, width).
    """
    lengths = source.lengths + 2 * (pad - source.pad)
    tiles = (lengths + tile - 1) // tile
    tile_starts = _starts(tiles)
    # Each doc gets a margin of rest rows, so that no window has to be cut.
    margin = pad - source.pad + window
    spaced = source.lengths + 2 * margin + tile - 1
    spaced_starts = _starts(spaced)
    spread = numpy.full(spaced.sum(), source.rest)
    spread[_positions(source.lengths, spaced_starts + margin)] = source.rows
    n_tiles = int(tiles.sum())
    index = numpy.full((2 * window + tile, n_tiles + 1), source.rest)
    first = _positions(tiles, spaced_starts, step=tile)
    index[:, :-1] = spread[first + numpy.arange(len(index))[:, None]]
    within = _positions(lengths, numpy.zeros_like(lengths))
    rows = (within % tile) * (n_tiles + 1) + within // tile + numpy.repeat(tile_starts, lengths)
    return index, Rows(rows, lengths, pad, rest=n_tiles)


def _starts(lengths: IndexT) -> IndexT:
    return numpy.cumsum(lengths) - lengths


def _positions(lengths: IndexT, starts: IndexT, *, step: int = 1) -> IndexT:
    """For each doc: start, start + step, … as many as its length."""
    first = _starts(lengths) * step
    return numpy.arange(lengths.sum()) * step + numpy.repeat(starts - first, lengths)
