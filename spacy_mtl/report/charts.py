"""Charts as inline SVG: lines with a band, and differences with their interval.

Why no plotting library draws them. The report has two kinds of chart. As templates of Jinja2, which comes with spaCy,
they take their colours from the page's theme, keep text as text (it can be searched, and read aloud), work without
JavaScript, print sharply, and take 2 to 3 kB each. matplotlib with its dependencies is 80 MB that nothing else here
needs, a chart of it is about ten times as large, and its colours and sizes would have to be rewritten for the dark
theme and narrow screens. The smaller pure-Python libraries (pygal, leather) have fixed themes and few releases;
JavaScript ones (uPlot, Chart.js, Vega) draw nothing in a browser that blocks scripts, and are 50 to 800 kB in each
report.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from .templating import render

WIDTH, HEIGHT = 340, 210
LEFT, RIGHT, TOP, BOTTOM = 44, 16, 26, 34


@dataclass
class Series:
    """A line with a band. All sequences (n,).

    key (str): Decides colour and dash: "joint" or "alone".
    label (str): Its name.
    x, y (Sequence[float]): Its points. low, high (Sequence[float]): The band.
    """

    key: str
    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def curve_of(key: str, label: str, points: Iterable[tuple[int, float]]) -> Series | None:
    """The mean at each step, and the least and the greatest value as its band. None without two steps.

    points (Iterable[tuple[int, float]]): Step and value, of all seeds.
    """
    by_step: dict[int, list[float]] = {}
    for step, value in points:
        by_step.setdefault(step, []).append(value)
    if len(by_step) < 2:
        return None
    steps = sorted(by_step)
    values = [by_step[step] for step in steps]
    return Series(key, label, steps, [*map(fmean, values)], [*map(min, values)], [*map(max, values)])


@dataclass
class Scale:
    """Maps the values of an axis to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def line_chart(series: Sequence[Series], *, title: str, x_label: str, y_label: str, factor: float = 1.0) -> Markup:
    """Draw lines over a common axis.

    title (str): What the chart shows, for screen readers; the last value of each line is added.
    factor (float): By which the values are multiplied, such as 100 for per cent.
    """
    x_ticks = ticks(0.0, max(max(one.x) for one in series), 4)
    lows = factor * min(value for one in series for value in one.low)
    highs = factor * max(value for one in series for value in one.high)
    y_ticks = ticks(lows, highs, 4)
    x = Scale(0.0, max(x_ticks[-1], *(one.x[-1] for one in series)), LEFT, WIDTH - RIGHT)
    y = Scale(min(lows, y_ticks[0]), max(highs, y_ticks[-1]), HEIGHT - BOTTOM, TOP)
    lines = [
        {
            "key": one.key,
            "points": _points(x, y, one.x, one.y, factor),
            "band": f"{_points(x, y, one.x, one.high, factor)} {_points(x, y, one.x[::-1], one.low[::-1], factor)}",
            "end": (x(one.x[-1]), y(factor * one.y[-1])),
        }
        for one in series
    ]
    summary = "; ".join(f"{one.label}: {factor * one.y[-1]:.3g} at the end" for one in series)
    return render(
        "line_chart.svg",
        width=WIDTH,
        height=HEIGHT,
        frame=(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM),
        x_ticks=[(x(value), tick_label(value)) for value in x_ticks],
        y_ticks=[(y(value), tick_label(value)) for value in y_ticks],
        lines=lines,
        title=title,
        summary=summary,
        x_label=x_label,
        y_label=y_label,
    )


def _points(x: Scale, y: Scale, xs: Sequence[float], ys: Sequence[float], factor: float) -> str:
    return " ".join(f"{x(a):g},{y(factor * b):g}" for a, b in zip(xs, ys, strict=True))


def ticks(low: float, high: float, n: int) -> list[float]:
    """About `n` round values (1, 2 or 5 times a power of ten apart) that enclose the range, at least two."""
    if not high > low:
        low, high = low - (abs(low) or 1.0) * 0.05, high + (abs(high) or 1.0) * 0.05
    raw = (high - low) / n
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def tick_label(value: float) -> str:
    """A value of an axis, with thousands as k."""
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


@dataclass
class Bar:
    """A difference with its interval.

    label (str): What it is of. key (str): Decides the colour: "helped", "hurt" or "none".
    value, low, high (float): In the unit of the axis.
    """

    label: str
    key: str
    value: float
    low: float
    high: float


def interval_chart(bars: Sequence[Bar], *, title: str, x_label: str, left: str, right: str) -> Markup:
    """Draw differences one below the other, around zero. Places are in per cent of the width, so that text keeps its
    size on narrow screens.

    left, right (str): What values below and above zero mean.
    """
    bounds = [value for bar in bars for value in (bar.low, bar.high)]
    marks = ticks(min(0.0, *bounds), max(0.0, *bounds), 5)
    x = Scale(marks[0], marks[-1], 0.0, 100.0)
    return render(
        "interval_chart.html",
        ticks=[(x(value), tick_label(value)) for value in marks],
        zero=x(0.0),
        rows=[(bar, x(bar.low), x(bar.value), x(bar.high)) for bar in bars],
        title=title,
        x_label=x_label,
        left=left,
        right=right,
    )
