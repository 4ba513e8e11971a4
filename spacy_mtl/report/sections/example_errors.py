"""The most instructive errors: gold beside what each system predicted."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from spacy.tokens import Doc

from ...protocols.decisions import Decisions
from ..instructive_errors import ErrorGroup, choose_errors
from ..marked_text import marked_text, window_of
from ..report_data import ReportData, Side
from ..shown_decisions import ShownLine, label_in, show_doc, wrong_places
from ..templating import render

EACH, ALONE, OPEN = 5, 12, 3


@dataclass
class Line:
    """A line of an error: name (str): "Gold", or the system. key (str): Its colour. shown (ShownLine): What it says.
    text (Markup | None): The text with its spans; None if the labels are listed. labels (list[tuple[str, str]]): Each
        label of the list, and its kind.
    """

    name: str
    key: str
    shown: ShownLine
    text: Markup | None
    labels: list[tuple[str, str]]


@dataclass
class ErrorDoc:
    """A doc with errors.

    number (int): Its place in the data, from 1. text (Markup | None): Its text, if the lines do not have it.
    lines (list[Line]): Gold, then each system.
    """

    number: int
    text: Markup | None
    lines: list[Line]


class ExampleErrors:
    """The section."""

    id = "errors"
    title = "Instructive errors"
    order = 700

    def render(self, data: ReportData) -> Markup | None:
        """Show the heads that show their decisions (`ShowsDecisions`) and make errors, of the first seed."""
        heads = []
        for head in data.metrics:
            found = data.first_decisions(head)
            sides, systems = [side for side, _ in found], [decisions for _, decisions in found]
            if not systems:
                continue
            groups = choose_errors(systems, data.lengths, limit=EACH if len(systems) > 1 else ALONE)
            shown = [
                {"title": title_of(group, sides), "group": group, "docs": _docs(data, group, sides, systems)}
                for group in groups
            ]
            if shown:
                heads.append({"name": head, "groups": shown, "n_docs": sum(group.n_docs for group in groups)})
        if not heads:
            return None
        return render("example_errors.html", heads=heads, split=data.split, n_docs=len(data.docs), n_open=OPEN)


def make_example_errors_v1() -> ExampleErrors:
    """Build the section with examples of errors."""
    return ExampleErrors()


def title_of(group: ErrorGroup, sides: Sequence[Side]) -> str:
    """Who makes these errors."""
    if len(sides) == 1:
        return "Errors"
    if all(group.wrong):
        return "Both are wrong"
    return f"Only “{sides[group.wrong.index(True)].label.lower()}” is wrong"


def _docs(data: ReportData, group: ErrorGroup, sides: Sequence[Side], systems: Sequence[Decisions]) -> list[ErrorDoc]:
    names = [("Gold", "gold"), *((side.label, side.key) for side in sides)]
    shown = [system.of_docs(group.docs) for system in systems]
    return [error_doc(data.docs[index], index, shown, names) for index in group.docs]


def error_doc(doc: Doc, index: int, systems: Sequence[Decisions], names: Sequence[tuple[str, str]]) -> ErrorDoc:
    """Put gold and the systems below each other.

    index (int): The place of the doc in the decisions.
    names (Sequence[tuple[str, str]]): Name and colour of each line.
    """
    window = window_of(len(doc), wrong_places(systems, index))
    lines = [
        Line(
            *name,
            shown,
            None if shown.is_list else marked_text(doc, shown.spans, window),
            [(label_in(doc, span), span.kind) for span in shown.spans],
        )
        for name, shown in zip(names, show_doc(systems, index), strict=True)
    ]
    return ErrorDoc(index + 1, marked_text(doc, [], window) if lines[0].text is None else None, lines)
