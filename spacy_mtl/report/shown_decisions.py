"""One doc's decisions, as a page or a terminal shows them: gold, then each system."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from spacy.tokens import Doc

from ..protocols.decisions import ArgumentsT, Decisions
from .label_counts import name_of


@dataclass(frozen=True)
class MarkedSpan:
    """A label and its place.

    start, end (int): First token and end (exclusive). kind (str): "gold", "right" or "wrong".
    arguments (ArgumentsT | None): What it relates, see `Decisions`.
    """

    start: int
    end: int
    label: str
    kind: str
    arguments: ArgumentsT | None = None


@dataclass
class ShownLine:
    """What gold or a system says of a doc.

    is_list (bool): Whether the labels are of the whole doc, or relate two spans; they are listed then, and not marked
        in the text.
    is_wrong (bool): Whether any decision differs from gold.
    spans (list[MarkedSpan]): The labels and their places. Where every token has a label, only those that a system got
        wrong.
    """

    is_list: bool
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
    is_list = systems[0].unit == "docs" or systems[0].arguments is not None
    gold = sorted({MarkedSpan(*row[:3], "gold", row[4]) for rows in found for row in rows if row[2]}, key=_place)
    lines = [ShownLine(is_list, False, gold)]
    for rows in found:
        spans = [
            MarkedSpan(*row[:2], row[3], "right" if row[2] == row[3] else "wrong", row[4]) for row in rows if row[3]
        ]
        lines.append(ShownLine(is_list, any(row[2] != row[3] for row in rows), sorted(spans, key=_place)))
    return lines


def label_in(doc: Doc, span: MarkedSpan) -> str:
    """The label as a list shows it, with what it relates: "Anna -[works_for]-> Acme"; "-[ROOT]-> works" for a root."""
    if span.arguments is None:
        return span.label
    start, end, first, last = span.arguments
    head = "" if (start, end) == (first, last) else f"{doc[start:end].text} "
    return f"{head}-[{span.label}]-> {doc[first:last].text}"


def wrong_places(systems: Sequence[Decisions], index: int) -> list[tuple[int, int]]:
    """Where any of the systems is wrong: first tokens and ends."""
    return [row[:2] for one in systems for row in _rows(one, index) if row[2] != row[3]]


def _rows(decisions: Decisions, index: int) -> list[tuple[int, int, str, str, ArgumentsT | None]]:
    """Start, end, gold and predicted label of a doc's decisions, "" for nothing; and what they relate."""
    return [
        (
            int(decisions.starts[row]),
            int(decisions.ends[row]),
            name_of(decisions, int(decisions.gold[row])),
            name_of(decisions, int(decisions.predicted[row])),
            None if decisions.arguments is None else cast(ArgumentsT, tuple(decisions.arguments[row].tolist())),
        )
        for row in np.flatnonzero(decisions.docs == index)
    ]


def _place(span: MarkedSpan) -> tuple[int, int, ArgumentsT | tuple[()], str]:
    return span.start, span.end, span.arguments or (), span.label
