"""The table that a training prints, laid out so that it fits the terminal."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .log_columns import Column, LogColumns

TITLE_WIDTHS = (11, 7)
CELL_WIDTH = 6
FIXED = (("epoch",), ("step",), ("score",))
FIXED_WIDTHS = (5, 7, 6)
SPACE = "  "
MISSING = "-"


@dataclass(frozen=True)
class Cell:
    """A column as it is printed: the lines of its title, and its width in characters."""

    column: Column
    title: list[str]
    width: int


class LogTable:
    """A table with one line an evaluation. If the columns do not fit, it leaves out the totals of the losses, then the
    losses of the heads, then all losses. If the scores alone do not fit, each evaluation takes several lines, and so
    does the header.

    columns (LogColumns): What there is to show.
    width (int): Width of the terminal in characters.
    """

    def __init__(self, columns: LogColumns, width: int) -> None:
        room = width - sum(FIXED_WIDTHS) - len(SPACE) * (len(FIXED_WIDTHS) - 1)
        self.rows = lay_out(columns, room)

    def header(self) -> list[str]:
        """The lines above the first evaluation."""
        lines: list[str] = []
        for number, row in enumerate(self.rows):
            fixed = FIXED if number == 0 else [()] * len(FIXED)
            lines += stack([*fixed, *(cell.title for cell in row)], widths(row))
        return [*lines, SPACE.join("-" * width for width in widths(self.rows[0]))]

    def lines(self, epoch: int, step: int, score: float, values: Mapping[str, float]) -> list[str]:
        """The lines of an evaluation.

        score (float): The score by which spaCy chooses the best model.
        values (Mapping[str, float]): The values of the columns by key, as they are to be shown; what lacks is "-".
        """
        lines = []
        for number, row in enumerate(self.rows):
            fixed = [str(epoch), str(step), show(score)] if number == 0 else [""] * len(FIXED)
            cells = [show(values.get(cell.column.key)) for cell in row]
            lines.append(align([*fixed, *cells], widths(row)))
        return lines


def lay_out(columns: LogColumns, room: int) -> list[list[Cell]]:
    """The columns in one row with as many losses as fit `room` characters; else the scores in several rows."""
    heads, others, totals = columns.head_losses, columns.other_losses, columns.totals
    choices: list[list[list[Column]]] = [[[*heads, *others, *totals], [*heads, *others]], [[*others, *totals]], [[]]]
    for group in choices:
        for title_width in TITLE_WIDTHS:
            for losses in group:
                cells = [make_cell(column, title_width) for column in [*columns.scores, *losses]]
                if sum(len(SPACE) + cell.width for cell in cells) <= room:
                    return [cells]
    width = max(cell.width for cell in cells)
    n_columns = max(1, room // (len(SPACE) + width))
    equal = [Cell(cell.column, cell.title, width) for cell in cells]
    return [equal[start : start + n_columns] for start in range(0, len(equal), n_columns)]


def make_cell(column: Column, width: int) -> Cell:
    """A column whose title is broken into lines of at most `width` characters."""
    lines = [line for part in column.title for line in break_word(part, width)]
    return Cell(column, lines, max(CELL_WIDTH, *map(len, lines)))


def break_word(word: str, width: int) -> list[str]:
    """Break a name into lines, where it has a separator if possible: nothing of it gets lost, so no two names look the
    same.
    """
    lines = [""]
    for part in re.findall(r"[^_/\-. ]*[_/\-. ]?", word):
        if len(lines[-1]) + len(part) <= width:
            lines[-1] += part
        else:
            lines += [part[start : start + width] for start in range(0, len(part), width)]
    return [line for line in lines if line]


def widths(row: Sequence[Cell]) -> list[int]:
    """The widths of the fixed columns and of a row's."""
    return [*FIXED_WIDTHS, *(cell.width for cell in row)]


def stack(titles: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Titles of several lines, side by side and even at the bottom."""
    height = max(map(len, titles))
    padded = [[""] * (height - len(title)) + list(title) for title in titles]
    return [align([title[line] for title in padded], widths) for line in range(height)]


def align(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Cells side by side, to the right."""
    return SPACE.join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def show(value: float | None) -> str:
    """A number of about four digits."""
    if value is None:
        return MISSING
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}" if abs(value) < 1e6 else f"{value:.0e}"
