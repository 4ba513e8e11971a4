"""Explanations of the same doc, as the command shows them: side by side in a terminal, and as an HTML page."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..report.page import RenderedSection, lay_out_page
from ..report.templating import MINUS, asset, render
from .explanation import Explanation

# From which share of its explanation's largest score a token is shown in colour.
VISIBLE = 0.25
# text and "for", "against", "head" or "note" -> what is printed
PaintT = Callable[[str, str], str]


@dataclass
class Frame:
    """Title and facts of the page."""

    title: str
    facts: dict[str, str]


def shares(explanation: Explanation) -> list[float]:
    """The scores as shares of the largest one without its sign, from -1 to 1."""
    largest = max(map(abs, explanation.scores)) or 1.0
    return [score / largest for score in explanation.scores]


def describe(explanation: Explanation) -> str:
    """What is explained, and how complete the explanation is."""
    text = f"{explanation.unit} {number(explanation.value)}"
    if explanation.baseline_value is not None:
        text += f", baseline {number(explanation.baseline_value)}"
    if explanation.completeness_gap is not None:
        text += f", scores miss {100 * explanation.completeness_gap:.1f} % of the difference"
    passes = "pass" if explanation.n_passes == 1 else "passes"
    text += f"; {explanation.method}, {explanation.n_passes} {passes}"
    return "; ".join([text, *(f"fixed: {what}" for what in explanation.held_fixed)])


def number(value: float) -> str:
    """A number with its sign and two decimals."""
    return f"{value:+.2f}".replace("-", MINUS)


def terminal_lines(explanations: Sequence[Explanation], paint: PaintT) -> Iterator[str]:
    """The lines of a table with a row for each token and a column for each explanation, below what is explained."""
    for explanation in explanations:
        yield f"{paint(f'{explanation.head}: {explanation.target}', 'head')}  {paint(describe(explanation), 'note')}"
    yield ""
    tokens = explanations[0].tokens
    names = [f"{explanation.head}: {explanation.target}" for explanation in explanations]
    indent = max(map(len, ["token", *tokens]))
    widths = [max(len(name), 8) for name in names]
    columns = [name.rjust(width) for name, width in zip(names, widths, strict=True)]
    yield paint("  ".join(["token".ljust(indent), *columns]), "note")
    of_tokens = [shares(explanation) for explanation in explanations]
    for place, token in enumerate(tokens):
        cells = [token.ljust(indent)]
        for explanation, column, width in zip(explanations, of_tokens, widths, strict=True):
            mark = "*" if place in explanation.target_tokens else " "
            text = f"{number(explanation.scores[place])}{mark}".rjust(width)
            is_shown = abs(column[place]) >= VISIBLE
            cells.append(paint(text, "for" if column[place] > 0 else "against") if is_shown else text)
        yield "  ".join(cells).rstrip()
    if any(explanation.target_tokens for explanation in explanations):
        yield paint("* token that the target is about", "note")


def make_explanation_page(explanations: Sequence[Explanation], *, model: str) -> str:
    """Make the page: the text once for each explanation, with its tokens in colour, and a table of all of them. It is
    one file that needs no network.
    """
    columns = [shares(explanation) for explanation in explanations]
    titled = list(zip(explanations, columns, map(describe, explanations), strict=True))
    texts = render("explanation_texts.html", rows=titled, number=number, style=asset("explain.css"))
    table = render("explanation_table.html", rows=titled, tokens=explanations[0].tokens, number=number)
    sections = [
        RenderedSection("texts", "Which tokens led to each prediction", Markup(texts)),
        RenderedSection("table", "All heads side by side", Markup(table)),
    ]
    facts = {"Model": model, "Method": explanations[0].method, "Tokens": str(len(explanations[0].tokens))}
    return lay_out_page(Frame("Explanation", facts), sections)
