"""Precision, recall and F1 from counts of true positives, false positives and false negatives."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from spacy.scorer import PRFScore

CountsT = NDArray[np.float64]
# indices of docs; None for all
RowsT = NDArray[np.int64] | None
# columns of the counts
TP, FP, FN = 0, 1, 2
# what spaCy adds to denominators
TINY = 1e-100


def prf_score(counts: CountsT) -> PRFScore:
    """Build spaCy's score object from counts (3,)."""
    tp, fp, fn = (int(number) for number in counts)
    return PRFScore(tp=tp, fp=fp, fn=fn)


def f1(counts: CountsT) -> CountsT:
    """Compute F1 from counts (..., 3), rounded as `PRFScore.fscore` is. RETURNS: (...), 0.0 without a true positive."""
    tp, fp, fn = counts[..., TP], counts[..., FP], counts[..., FN]
    precision, recall = tp / (tp + fp + TINY), tp / (tp + fn + TINY)
    f: CountsT = 2 * ((precision * recall) / (precision + recall + TINY))
    return f


def where_annotated(n_docs: CountsT, scores: CountsT) -> CountsT:
    """Replace scores that no annotated doc stands behind with NaN. n_docs, scores: (...)."""
    return np.where(n_docs > 0, scores, np.nan)


def as_flag(correct: float) -> bool | None:
    """Turn a verdict on a doc, 1.0, 0.0 or NaN, into what `Head.is_correct` returns."""
    return None if np.isnan(correct) else bool(correct)


class CountsByName:
    """Counts by doc and name, such as an entity type. Only counts above zero take memory."""

    def __init__(self) -> None:
        self._columns: dict[str, int] = {}
        self._entries: list[tuple[int, int, int, int]] = []

    def add(self, doc: int, name: str, outcome: int, number: int = 1) -> None:
        """Count something in a doc.

        doc (int): Index of the doc.
        name (str): What is counted, in a table of its own.
        outcome (int): TP, FP or FN.
        number (int): How often it occurs.
        """
        self._entries.append((doc, self._columns.setdefault(name, len(self._columns)), outcome, number))

    def total(self, rows: RowsT = None) -> Mapping[str, PRFScore]:
        """Add up the docs. RETURNS: a score for each name that any of them has, in alphabetical order."""
        entries = np.array(self._entries, dtype="int64").reshape(-1, 4)
        if rows is not None:
            entries = entries[np.isin(entries[:, 0], rows)]
        table = np.zeros((len(self._columns), 3))
        np.add.at(table, (entries[:, 1], entries[:, 2]), entries[:, 3])
        return {name: prf_score(table[column]) for name, column in sorted(self._columns.items()) if table[column].any()}
