"""Index arithmetic for docs that lie end to end in one array.

With lengths [2, 0, 3], rows 0 and 1 belong to doc 0, rows 2 to 4 to doc 2:
first_rows -> [0, 2, 2], bounds -> [0, 2, 2, 5], row_owners -> [0, 0, 2, 2, 2],
row_ranges(starts=[2, 0], lengths=[3, 2]) -> [2, 3, 4, 0, 1].
"""

import numpy as np

from ..protocols.arrays import ArrayT


def first_rows(lengths: ArrayT) -> ArrayT:
    """The row at which each doc starts, (n_docs,). lengths (n_docs,): Rows of each doc."""
    return np.cumsum(lengths) - lengths


def bounds(lengths: ArrayT) -> ArrayT:
    """The boundaries of all docs, (n_docs + 1,): doc i has the rows from bounds[i] up to bounds[i + 1]."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype("int64")


def row_owners(lengths: ArrayT) -> ArrayT:
    """The doc of each row, (n_rows,)."""
    return np.repeat(np.arange(len(lengths)), lengths)


def row_ranges(starts: ArrayT, lengths: ArrayT, *, step: int = 1) -> ArrayT:
    """The rows start, start + step, … of each range, end to end, (sum of lengths,). starts, lengths (n_ranges,)."""
    return np.repeat(starts - first_rows(lengths) * step, lengths) + np.arange(int(np.sum(lengths))) * step
