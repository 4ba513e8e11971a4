"""Reliability diagrams as inline SVG: how often a head is right at each probability, before and after calibration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from .charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale, tick_label
from .templating import render

TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# radius of a point that stands for all decisions, and of one that stands for none, in pixels
LARGEST, SMALLEST = 12.0, 1.5


@dataclass
class ReliabilityPoint:
    """Decisions of about the same probability. confidence, accuracy (float): From 0 to 1. share (float): Of all."""

    confidence: float
    accuracy: float
    share: float


def reliability_chart(points: Sequence[ReliabilityPoint], *, title: str, key: str, note: str) -> Markup:
    """Draw the share that is right over the probability. The diagonal is perfect; below it the head is overconfident.
    The area of a point is the share of decisions that it stands for.

    title (str): What the chart shows, for screen readers. key (str): Decides the colour: "joint" or "alone".
    note (str): What it is of, above the chart.
    """
    x, y = Scale(0.0, 1.0, LEFT, WIDTH - RIGHT), Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    dots = [
        (x(one.confidence), y(one.accuracy), round(SMALLEST + (LARGEST - SMALLEST) * math.sqrt(one.share), 1))
        for one in points
    ]
    return render(
        "reliability_chart.svg",
        width=WIDTH,
        height=HEIGHT,
        frame=(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM),
        x_ticks=[(x(value), tick_label(value)) for value in TICKS],
        y_ticks=[(y(value), tick_label(value)) for value in TICKS],
        dots=dots,
        title=title,
        key=key,
        note=note,
    )


def points_of(bins: Sequence[dict[str, float]]) -> list[ReliabilityPoint]:
    """Read the bins that a calibration keeps."""
    total = sum(one["n"] for one in bins)
    return [ReliabilityPoint(one["confidence"], one["accuracy"], one["n"] / total) for one in bins]
