"""The page with the estimate: a heat map, and the groupings that follow from it."""

from dataclasses import dataclass

from markupsafe import Markup

from ..report.page import RenderedSection, lay_out_page
from ..report.templating import render
from .estimate import Affinity


@dataclass
class HeatCell:
    """The affinity of a head for another.

    key (str): "with" if a step on the one lowers the other's loss, "against" if it raises it, "" if this is unknown or
        of a head for itself. depth (float): Of the colour, from 0 to 1. value (float | None): In per cent.
    """

    key: str
    depth: float
    value: float | None


@dataclass
class Frame:
    """Title and facts of the page."""

    title: str
    facts: dict[str, str]


def make_affinity_page(found: Affinity) -> str:
    """Make the HTML."""
    facts = {
        "Config": found.config,
        "Heads": str(len(found.heads)),
        "Training": f"{found.steps} steps",
        "Measured": f"{found.measured} steps",
        "Seed": str(found.seed),
    }
    sections = [
        RenderedSection("affinity", "What a step on one head does to the others", matrix_html(found)),
        RenderedSection("groupings", "Which heads to train together", render("groupings.html", found=found)),
    ]
    return lay_out_page(Frame("Affinity of the heads", facts), sections)


def matrix_html(found: Affinity) -> Markup:
    """The heat map. Its colours are relative to the largest affinity of a head for another."""
    others = [
        abs(value)
        for one, row in found.affinity.items()
        for other, value in row.items()
        if one != other and value is not None
    ]
    largest = max(others) or 1.0
    cells = [[cell_of(found, one, other, largest) for other in found.heads] for one in found.heads]
    return render("affinity.html", heads=found.heads, cells=cells)


def cell_of(found: Affinity, one: str, other: str, largest: float) -> HeatCell:
    """A cell of the map."""
    value = found.affinity[one][other]
    if value is None or one == other:
        return HeatCell("", 0.0, None if value is None else 100 * value)
    return HeatCell("against" if value < 0 else "with", abs(value) / largest, 100 * value)
