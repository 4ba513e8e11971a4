"""Rows of docs end to end, against plain loops."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from spacy_mtl.layers.ragged_rows import bounds, first_rows, row_owners, row_ranges

LENGTHS = [[2, 0, 3], [0, 0], [1], [], [0, 4, 0, 1, 0]]


@pytest.mark.parametrize("lengths", LENGTHS)
def test_rows_of_docs(lengths: list[int]) -> None:
    docs, row = [], 0
    for length in lengths:
        docs.append(list(range(row, row + length)))
        row += length
    array = np.array(lengths, dtype="int64")
    assert_array_equal(row_owners(array), [doc for doc, rows in enumerate(docs) for _ in rows])
    edges = bounds(array).tolist()
    assert [list(range(start, end)) for start, end in pairwise(edges)] == docs
    assert [rows[0] for rows in docs if rows] == first_rows(array)[array > 0].tolist()
    assert len(first_rows(array)) == len(lengths)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_ranges_lie_end_to_end(lengths: list[int], step: int) -> None:
    starts = np.arange(len(lengths), dtype="int64")[::-1] * 7
    expected = [start + step * i for start, n in zip(starts.tolist(), lengths, strict=True) for i in range(n)]
    assert_array_equal(row_ranges(starts, np.array(lengths, dtype="int64"), step=step), expected)
