"""The page: one HTML file with all it needs, so that it opens from disk and without a network."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from markupsafe import Markup

from .. import registry  # noqa: F401  (the sections are found in it)
from .report_data import ReportData
from .section import find_sections
from .templating import asset, render

# written into every page, so that a report never replaces another file
GENERATOR = '<meta name="generator" content="spacy-mtl report">'


@dataclass
class RenderedSection:
    """id, title (str): As `Section`. html (Markup): What is below the heading."""

    id: str
    title: str
    html: Markup


class Titled(Protocol):
    """title (str): Title of the page. facts (dict[str, str]): What is shown below it."""

    title: str
    facts: dict[str, str]


def make_page(data: ReportData) -> str:
    """Make the HTML of a report, from all registered sections that have something to show."""
    sections = [
        RenderedSection(section.id, section.title, Markup(html))
        for section in find_sections()
        if (html := section.render(data)) is not None
    ]
    return lay_out_page(data, sections)


def lay_out_page(data: Titled, sections: Sequence[RenderedSection]) -> str:
    """Put sections below a title."""
    return render(
        "page.html",
        data=data,
        sections=sections,
        generator=Markup(GENERATOR),
        style=asset("report.css"),
        scripts=[asset("sortable.min.js"), asset("report.js")],
    )


def check_output(path: Path) -> None:
    """Raise a ValueError if a report can't be written there: the folder is missing, or the file is not a report."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file, such as {path / 'report.html'}")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: the folder {path.parent} does not exist; make it first, or name another file")
    if path.exists() and GENERATOR.encode() not in path.read_bytes()[:2000]:
        raise ValueError(f"{path}: the file exists and is no report of spacy-mtl; name another file, or remove it")


def write_page(data: ReportData, path: Path) -> None:
    """Write a report, in place of an older one. Raises a ValueError as `check_output`."""
    save_page(make_page(data), path)


def save_page(page: str, path: Path) -> None:
    """Write a page, in place of an older one. Raises a ValueError as `check_output`."""
    check_output(path)
    new = path.with_name(f".{path.name}.new")
    new.write_text(page, encoding="utf8", newline="\n")
    os.replace(new, path)
