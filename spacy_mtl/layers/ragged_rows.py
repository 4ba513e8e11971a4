"""Index arithmetic for docs whose rows lie end to end in one array.

With lengths [2, 0, 3], rows 0 and 1 belong to doc 0, rows 2 to 4 to doc 2:
first_rows -> [0, 2, 2], bounds -> [0, 2, 2, 5], row_owners -> [0, 0, 2, 2, 2],
row_ranges(starts=[2, 0], lengths=[3, 2]) -> [2, 3, 4, 0, 1].
"""

import numpy as np

from ..protocols.arrays import ArrayT


def first_rows(lengths: ArrayT) -> ArrayT:
    """Return the first row of each doc, (n_docs,).

    lengths (Ints1d): Number of rows of each doc, (n_docs,).
    """
    return np.cumsum(lengths) - lengths


def bounds(lengths: ArrayT) -> ArrayT:
    """Return the boundaries of all docs, (n_docs + 1,): doc i has the rows from bounds[i] up to bounds[i + 1].

    lengths (Ints1d): Number of rows of each doc, (n_docs,).
    """
    return np.concatenate([[0], np.cumsum(lengths)]).astype("int64")


def row_owners(lengths: ArrayT) -> ArrayT:
    """Return the index of each row's doc, (n_rows,).

    lengths (Ints1d): Number of rows of each doc, (n_docs,).
    """
    return np.repeat(np.arange(len(lengths)), lengths)


def row_ranges(starts: ArrayT, lengths: ArrayT, *, step: int = 1) -> ArrayT:
    """Return the rows start, start + step, … of each range, end to end, (sum of lengths,).

    starts (Ints1d): First row of each range, (n_ranges,).
    lengths (Ints1d): Number of rows of each range, (n_ranges,).
    step (int): Distance between two rows of a range.
    """
    return np.repeat(starts - first_rows(lengths) * step, lengths) + np.arange(int(np.sum(lengths))) * step
