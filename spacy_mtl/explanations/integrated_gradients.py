"""Integrated gradients (Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks", ICML).

The gradient is integrated along the straight line from the baseline to the embeddings. The scores of all tokens then
sum to the difference of the value at both ends (completeness). The gradient changes fast at some places of the line and
hardly at others, so that equal steps would waste most of them: here the line is cut where it is needed. Of each
interval the value at both ends is known, and so is the error of its trapezoid; the intervals with the largest errors
are halved next.
"""

from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..protocols.arrays import FloatsT
from ..protocols.embeddings import Embedded
from .target_function import Attribution, TargetFunction

# intervals at the start, and the most points at which the gradient is computed
N_INTERVALS = 8
MAX_POINTS = 512
# The share of the difference of the values that the scores may miss, and that the errors of all intervals may sum to
# without regard to their sign.
TOLERANCE = 0.01
SPREAD = 0.05
# differences of the values that are smaller than this count as this
SMALL = 0.1


class Point(NamedTuple):
    """A point of the line.

    place (float): From 0 at the baseline to 1 at the embeddings.
    value (float): The target's value.
    slopes (FloatsT): How fast each row changes the value here, (n_rows,).
    """

    place: float
    value: float
    slopes: FloatsT


class Interval(NamedTuple):
    """Part of the line. Intervals are ordered by their error, the largest first.

    order (float): The error without its sign, negative.
    start, end (Point): Its ends.
    """

    order: float
    start: Point
    end: Point

    @property
    def integral(self) -> FloatsT:
        """What each row changes the value by, (n_rows,), by the trapezoid rule."""
        return (self.end.place - self.start.place) * 0.5 * (self.start.slopes + self.end.slopes)


def integrated_gradients(function: TargetFunction, *, max_points: int | None = None) -> Attribution:
    """Compute integrated gradients at the embeddings.

    max_points (int | None): Most points at which the gradient is computed; None for 512.
    """
    most = MAX_POINTS if max_points is None else max_points
    embedded = function.embedded("integrated_gradients")
    places = np.linspace(0.0, 1.0, N_INTERVALS + 1).tolist()
    points = [find_point(function, embedded, place) for place in places]
    first, last = points[0], points[-1]
    intervals = [make_interval(*ends) for ends in pairwise(points)]
    heapify(intervals)
    size = max(abs(last.value - first.value), SMALL)
    n_points = len(points)
    while True:
        rows: FloatsT = np.sum([interval.integral for interval in intervals], axis=0)
        gap = abs(float(rows.sum()) - (last.value - first.value)) / size
        spread = -sum(interval.order for interval in intervals) / size
        if (gap <= TOLERANCE and spread <= SPREAD) or n_points >= most:
            break
        for _ in range(min(max(1, len(intervals) // 4), most - n_points)):
            _, start, end = heappop(intervals)
            middle = find_point(function, embedded, 0.5 * (start.place + end.place))
            heappush(intervals, make_interval(start, middle))
            heappush(intervals, make_interval(middle, end))
            n_points += 1
    return Attribution(function.by_token(embedded, rows), last.value, first.value, gap)


def find_point(function: TargetFunction, embedded: Embedded, place: float) -> Point:
    """Compute value and slopes at a place of the line."""
    direction = embedded.vectors - embedded.baseline
    vectors = embedded.vectors if place == 1.0 else embedded.baseline + np.float32(place) * direction
    value, gradient = function.differentiate(embedded, vectors)
    return Point(place, value, (gradient.astype("d") * direction).sum(axis=1))


def make_interval(start: Point, end: Point) -> Interval:
    """Make the interval between two points, with the error of its integral."""
    interval = Interval(0.0, start, end)
    return interval._replace(order=-abs(float(interval.integral.sum()) - (end.value - start.value)))
