"""Ranges of row numbers."""

import numpy

from ..protocols.arrays import ArrayT


def ranges(starts: ArrayT, lengths: ArrayT) -> ArrayT:
    """The numbers of each range, end to end: starts (n,), lengths (n,) -> (sum of lengths,)."""
    offsets = numpy.cumsum(lengths) - lengths
    return numpy.repeat(starts - offsets, lengths) + numpy.arange(int(lengths.sum()))
