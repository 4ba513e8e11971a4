"""The most instructive errors as text for a terminal."""

from collections.abc import Callable, Iterator

from spacy.tokens import Doc

from .instructive_errors import choose_errors
from .marked_text import window_of
from .report_data import ReportData
from .shown_decisions import MarkedSpan, ShownLine, label_in, show_doc, wrong_places

PaintT = Callable[[str, str], str]
LINES = ("gold", "predicted")


def error_lines(data: ReportData, head: str, *, limit: int, paint: PaintT) -> Iterator[str]:
    """The lines to print for a head: each doc with gold beside the prediction.

    limit (int): Most docs.
    paint (Callable[[str, str], str]): Colours a text as "gold", "right", "wrong" or "note"; plain text stays as it is.
    """
    (side,) = data.sides[head]
    found = side.runs[0].decisions(head)
    if found is None:
        yield paint("no decisions to show: the head has no gold in this data, or does not list its decisions", "note")
        return
    groups = choose_errors([found], data.lengths, limit=limit)
    if not groups:
        yield paint(f"no errors in {len(data.docs)} docs", "note")
        return
    (group,) = groups
    yield paint(f"{len(group.docs)} of {group.n_docs} docs with an error, of {len(data.docs)}", "note")
    found = found.of_docs(group.docs)
    for index in group.docs:
        doc = data.docs[index]
        window = window_of(len(doc), wrong_places([found], index))
        lines = show_doc([found], index)
        yield ""
        number = paint(f"doc {index + 1}", "note")
        yield f"{number}  {one_line(doc[window[0] : window[1]].text)}" if lines[0].is_list else number
        for name, line in zip(LINES, lines, strict=True):
            yield f"  {name:<10} {shown(doc, line, window, paint)}"


def shown(doc: Doc, line: ShownLine, window: tuple[int, int], paint: PaintT) -> str:
    """The list of labels, or the doc's text with "[span](label)"."""
    if line.is_list:
        return ", ".join(paint(one_line(label_in(doc, span)), span.kind) for span in line.spans) or paint(
            "nothing", "note"
        )
    first, last = window
    parts, place = [], first
    for span in line.spans:
        if span.start >= place and span.end <= last:
            parts += [doc[place : span.start].text_with_ws, paint(marked(doc, span), span.kind)]
            parts.append(doc[span.end - 1].whitespace_)
            place = span.end
    return one_line("".join([*parts, doc[place:last].text]))


def marked(doc: Doc, span: MarkedSpan) -> str:
    """The span with its label."""
    return f"[{doc[span.start : span.end].text}]({span.label})"


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split("\n")).rstrip()
