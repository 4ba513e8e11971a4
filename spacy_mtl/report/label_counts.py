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


def label_scores(runs: Sequence[Decisions]) -> dict[str, LabelScore]:
    """Score every label that occurs in any of the runs.

    runs (Sequence[Decisions]): One a seed, on the same docs.
    """
    names = sorted({name for run in runs for name in run.names})
    table = np.stack([_counts(run, names) for run in runs])
    right, gold, predicted = table[:, 0], table[:, 1], table[:, 2]
    columns = gold, _share(right, predicted), _share(right, gold), _share(2 * right, gold + predicted)
    means = [column.mean(axis=0).tolist() for column in columns]
    return {name: LabelScore(*row) for name, row in zip(names, zip(*means, strict=True), strict=True)}


def _counts(run: Decisions, names: Sequence[str]) -> NDArray[np.float64]:
    """Right, gold and predicted decisions by label, (3, n_names)."""
    places = {name: place for place, name in enumerate(names)}
    index = np.array([places[name] for name in run.names], dtype="int64")
    right = run.gold[run.gold == run.predicted]
    columns = [np.bincount(labels[labels >= 0], minlength=len(index)) for labels in (right, run.gold, run.predicted)]
    result = np.zeros((3, len(names)))
    result[:, index] = columns
    return result


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def confusions(runs: Sequence[Decisions]) -> dict[tuple[str, str], float]:
    """(gold, predicted) -> mean number over the seeds, of all pairs that occur; "" stands for nothing."""
    total: dict[tuple[str, str], float] = {}
    for run in runs:
        names = [*run.names, NO_LABEL]
        pairs, numbers = np.unique(np.stack([run.gold, run.predicted]), axis=1, return_counts=True)
        for gold, predicted, number in zip(*pairs.tolist(), numbers.tolist(), strict=True):
            key = names[gold], names[predicted]
            total[key] = total.get(key, 0.0) + number / len(runs)
    return total


def wrong_rows(decisions: Decisions) -> NDArray[np.bool_]:
    """Which decisions are wrong, (n,)."""
    return decisions.gold != decisions.predicted


def name_of(decisions: Decisions, label: int) -> str:
    """The label of an index, "" for nothing."""
    return NO_LABEL if label == NOTHING else decisions.names[label]
