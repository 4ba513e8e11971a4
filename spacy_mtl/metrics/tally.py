"""Sets of gold and of predicted things, such as spans or relations, compared doc by doc."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeVar

import numpy as np

from .prf_counts import FN, FP, TP, CountsByName, CountsT, RowsT, f1, where_annotated

FoundT = TypeVar("FoundT")


@dataclass
class Tally:
    """True positives, false positives and false negatives under one way to compare.

    counts (CountsT): (n_docs, 4): 1 if the doc is annotated, then the three.
    by_name (CountsByName): The same by label or type.
    """

    counts: CountsT
    by_name: CountsByName = field(default_factory=CountsByName)

    @classmethod
    def of(cls, n_docs: int) -> "Tally":
        """Begin with docs that are not annotated."""
        return cls(np.zeros((n_docs, 4)))

    def add(self, row: int, gold: set[FoundT], predicted: set[FoundT], name_of: Callable[[FoundT], str]) -> None:
        """Count a doc.

        name_of (Callable): Gets the label or type of what is counted.
        """
        outcomes = {TP: gold & predicted, FP: predicted - gold, FN: gold - predicted}
        self.counts[row] = [1, *map(len, outcomes.values())]
        for outcome, found in outcomes.items():
            for one in found:
                self.by_name.add(row, name_of(one), outcome)

    def total(self, rows: RowsT = None) -> CountsT | None:
        """Add up the true positives, false positives and false negatives of docs, (3,); None if none is annotated."""
        total: CountsT = self.counts[slice(None) if rows is None else rows].sum(axis=0)
        return total[1:] if total[0] else None


def main_score_of_tally(counts: CountsT) -> CountsT:
    """Compute F1 from sums of `Tally.counts`, (..., 4) -> (...)."""
    return where_annotated(counts[..., 0], f1(counts[..., 1:]))


def side_by_side(gold: set[str], predicted: set[str]) -> Iterator[tuple[str | None, str | None]]:
    """Put labels of the same thing side by side: first those that agree, then others, in alphabetical order."""
    for label in sorted(gold & predicted):
        yield label, label
    yield from zip_longest(sorted(gold - predicted), sorted(predicted - gold))
