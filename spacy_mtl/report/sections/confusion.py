"""Which label was taken for which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..label_counts import NO_LABEL, confusions
from ..report_data import ReportData, Side
from ..templating import render

CountsT = dict[tuple[str, str], float]
PAIRS, SHOWN, LABELS, OPEN = 100, 8, 10, 6
OTHERS = "\0"


@dataclass
class Matrix:
    """Numbers of decisions.

    names (list[str]): Rows (gold) and columns (predicted). cells (list[list[Cell]]): By row.
    """

    side: Side
    names: list[str]
    cells: list[list["Cell"]]


@dataclass
class Cell:
    """A number of decisions, mean over the seeds.

    share (float): Of all decisions with its gold label. key (str): "right" on the diagonal, else "wrong"; "mixed" where
        many labels meet.
    """

    number: float
    share: float
    key: str


class Confusion:
    """The section."""

    id = "confusions"
    title = "What is taken for what"
    order = 500

    def render(self, data: ReportData) -> Markup | None:
        """Show the heads that show their decisions (`ShowsDecisions`) and make errors."""
        heads = []
        for head in data.metrics:
            found = [(side, confusions(runs)) for side, runs in data.label_pairs(head)]
            pairs = frequent_pairs([counts for _, counts in found])
            if pairs:
                names = confused_names([counts for _, counts in found])
                matrices = [matrix_of(side, counts, names) for side, counts in found]
                sides = [side for side, _ in found]
                heads.append({"name": head, "pairs": pairs, "sides": sides, "matrices": matrices})
        if not heads:
            return None
        return render(
            "confusion.html",
            heads=heads,
            nothing=NO_LABEL,
            others=OTHERS,
            limit=PAIRS,
            shown=SHOWN,
            open=len(heads) <= OPEN,
            n_seeds=max(len(side.runs) for head in heads for side in head["sides"]),  # type: ignore[attr-defined]
        )


def make_confusion_v1() -> Confusion:
    """Build the section with the confusions."""
    return Confusion()


def frequent_pairs(sides: Sequence[CountsT]) -> list[tuple[str, str, list[float]]]:
    """(gold, predicted, number on each side), the most frequent first."""
    pairs = {pair for counts in sides for pair in counts if pair[0] != pair[1]}
    rows = [(*pair, [counts.get(pair, 0.0) for counts in sides]) for pair in pairs]
    return sorted(rows, key=lambda row: (-sum(row[2]), row[0], row[1]))


def confused_names(sides: Sequence[CountsT]) -> list[str]:
    """The labels with most errors, in alphabetical order; then the others together, and nothing, if they occur."""
    errors: dict[str, float] = {}
    for counts in sides:
        for (gold, predicted), number in counts.items():
            for name in {gold, predicted}:
                errors[name] = errors.get(name, 0.0) + (number if gold != predicted else 0.0)
    has_nothing = errors.pop(NO_LABEL, 0.0) > 0
    ranked = sorted(errors, key=lambda name: (-errors[name], name))
    # a single label that is left out needs no column for the others
    kept = ranked if len(ranked) <= LABELS + 1 else ranked[:LABELS]
    return [*sorted(kept), *([OTHERS] if len(ranked) > len(kept) else []), *([NO_LABEL] if has_nothing else [])]


def matrix_of(side: Side, counts: CountsT, names: Sequence[str]) -> Matrix:
    """The counts between these labels, all others taken together."""
    known = frozenset(names)
    table: dict[tuple[str, str], float] = {}
    for (gold, predicted), number in counts.items():
        key = (gold if gold in known else OTHERS, predicted if predicted in known else OTHERS)
        table[key] = table.get(key, 0.0) + number
    return Matrix(side, list(names), [[_cell(table, gold, predicted, names) for predicted in names] for gold in names])


def _cell(table: Mapping[tuple[str, str], float], gold: str, predicted: str, names: Sequence[str]) -> Cell:
    # Nothing has no other gold: its false alarms are a share of what is predicted.
    pairs = [(name, predicted) for name in names] if gold == NO_LABEL else [(gold, name) for name in names]
    total = sum(table.get(pair, 0.0) for pair in pairs)
    number = table.get((gold, predicted), 0.0)
    key = "mixed" if gold == predicted == OTHERS else "right" if gold == predicted else "wrong"
    return Cell(number, number / total if total else 0.0, key)
