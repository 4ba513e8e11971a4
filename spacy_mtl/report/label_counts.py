"""Scores by label, and which label was taken for which, counted from decisions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..protocols.decisions import NOTHING, Decisions

NO_LABEL = ""


@dataclass
class LabelScore:
    """A label's scores, means over the seeds.

    support (float): Number of gold decisions with the label.
    precision, recall, f (float): From 0 to 1; 0 where the denominator is 0.
    """

    support: float
    precision: float
    recall: float
    f: float


@dataclass
class LabelPairs:
    """How often a run took which label for which.

    unit (str): What is decided, in the plural: "docs", "tokens", "spans".
    numbers (dict[tuple[str, str], int]): (gold, predicted) -> number of decisions, of all pairs that occur; "" stands
        for nothing.
    """

    unit: str
    numbers: dict[tuple[str, str], int]


def count_pairs(decisions: Decisions) -> LabelPairs:
    """Count the pairs of a gold and a predicted label."""
    names = [*decisions.names, NO_LABEL]  # NOTHING is the last one
    pairs = (decisions.gold % len(names)) * len(names) + decisions.predicted % len(names)
    found, numbers = np.unique(pairs, return_counts=True)
    gold, predicted = np.divmod(found, len(names))
    rows = zip(gold.tolist(), predicted.tolist(), numbers.tolist(), strict=True)
    return LabelPairs(decisions.unit, {(names[one], names[other]): number for one, other, number in rows})


def label_scores(runs: Sequence[LabelPairs]) -> dict[str, LabelScore]:
    """Score every label that occurs in any of the runs.

    runs (Sequence[LabelPairs]): One a seed, on the same docs.
    """
    names = sorted({name for run in runs for pair in run.numbers for name in pair} - {NO_LABEL})
    table = np.stack([_counts(run, names) for run in runs])
    right, gold, predicted = table[:, 0], table[:, 1], table[:, 2]
    columns = gold, _share(right, predicted), _share(right, gold), _share(2 * right, gold + predicted)
    means = [column.mean(axis=0).tolist() for column in columns]
    return {name: LabelScore(*row) for name, row in zip(names, zip(*means, strict=True), strict=True)}


def _counts(run: LabelPairs, names: Sequence[str]) -> NDArray[np.float64]:
    """Right, gold and predicted decisions by label, (3, n_names)."""
    places = {name: place for place, name in enumerate(names)}
    table = np.zeros((3, len(names) + 1))  # the last column is for nothing
    for (gold, predicted), number in run.numbers.items():
        one, other = (places.get(name, len(names)) for name in (gold, predicted))
        table[0, one] += number * (gold == predicted)
        table[1, one] += number
        table[2, other] += number
    return table[:, :-1]


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def confusions(runs: Sequence[LabelPairs]) -> dict[tuple[str, str], float]:
    """(gold, predicted) -> mean number over the seeds, of all pairs that occur; "" stands for nothing."""
    total: dict[tuple[str, str], float] = {}
    for run in runs:
        for pair, number in run.numbers.items():
            total[pair] = total.get(pair, 0.0) + number / len(runs)
    return total


def wrong_rows(decisions: Decisions) -> NDArray[np.bool_]:
    """Which decisions are wrong, (n,)."""
    return decisions.gold != decisions.predicted


def name_of(decisions: Decisions, label: int) -> str:
    """The label of an index, "" for nothing."""
    return NO_LABEL if label == NOTHING else decisions.names[label]
