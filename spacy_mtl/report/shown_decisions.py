"""One doc's decisions, as a page or a terminal shows them: gold, then each system."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..protocols.decisions import Decisions
from .label_counts import name_of


@dataclass(frozen=True)
class MarkedSpan:
    """A label and its place.

    start, end (int): First token and end (exclusive). kind (str): "gold", "right" or "wrong".
    """

    start: int
    end: int
    label: str
    kind: str


@dataclass
class ShownLine:
    """What gold or a system says of a doc.

    about_doc (bool): Whether the labels are of the whole doc; they are not to be marked in its text then.
    is_wrong (bool): Whether any decision differs from gold.
    spans (list[MarkedSpan]): The labels and their places. Where every token has a label, only those that a system got
        wrong.
    """

    about_doc: bool
    is_wrong: bool
    spans: list[MarkedSpan]


def show_doc(systems: Sequence[Decisions], index: int) -> list[ShownLine]:
    """Put gold and the systems below each other.

    systems (Sequence[Decisions]): Of the same docs. index (int): The doc.
    """
    found = [_rows(one, index) for one in systems]
    places = {row[:2] for rows in found for row in rows if row[2] != row[3]}
    if systems[0].unit == "tokens":
        found = [[row for row in rows if row[:2] in places] for rows in found]
    about_doc = systems[0].unit == "docs"
    gold = sorted({MarkedSpan(*row[:3], "gold") for rows in found for row in rows if row[2]}, key=_place)
    lines = [ShownLine(about_doc, False, gold)]
    for rows in found:
        spans = [MarkedSpan(*row[:2], row[3], "right" if row[2] == row[3] else "wrong") for row in rows if row[3]]
        lines.append(ShownLine(about_doc, any(row[2] != row[3] for row in rows), sorted(spans, key=_place)))
    return lines


def wrong_places(systems: Sequence[Decisions], index: int) -> list[tuple[int, int]]:
    """Where any of the systems is wrong: first tokens and ends."""
    return [row[:2] for one in systems for row in _rows(one, index) if row[2] != row[3]]


def _rows(decisions: Decisions, index: int) -> list[tuple[int, int, str, str]]:
    """Start, end, gold and predicted label of a doc's decisions; "" for nothing."""
    return [
        (
            int(decisions.starts[row]),
            int(decisions.ends[row]),
            name_of(decisions, int(decisions.gold[row])),
            name_of(decisions, int(decisions.predicted[row])),
        )
        for row in np.flatnonzero(decisions.docs == index)
    ]


def _place(span: MarkedSpan) -> tuple[int, int, str]:
    return span.start, span.end, span.label
