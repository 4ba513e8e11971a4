"""Classes of docs against gold `cats`: the metrics of spaCy's `Scorer.score_cats`, and accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.scorer import PRFScore, ROCAUCScore

from ..protocols.decisions import NOTHING, Decisions, IntsT
from .prf_counts import FN, FP, TP, CountsT, RowsT, f1, prf_score, where_annotated

SCORE_NAMES = ("score", "score_desc", "micro_p", "micro_r", "micro_f", "macro_p", "macro_r", "macro_f", "macro_auc")
SCORE_TABLES = ("f_per_type", "auc_per_type")
ALL_NAMES = ("acc", *SCORE_NAMES, *SCORE_TABLES)


class ClassVerdicts:
    """What was predicted for docs, compared with their gold (Protocol `Verdicts`). Fill it row by row, with
    `set_exclusive` or `set_multilabel`.

    counts (NDArray[np.float64]): Additive. Exclusive classes, (n_docs, 2): 1 if the doc is annotated, 1 if it is right.
        Others, (n_docs, 1 + 3 * n_keys): 1 if the doc is annotated, then true positives, false positives and false
        negatives of each key: with keys a and b [annotated, tp a, fp a, fn a, tp b, fp b, fn b].
    correct (NDArray[np.float64]): (n_docs,): 1.0 if the doc is right, 0.0 if not, NaN without gold.
    """

    def __init__(
        self, lengths: Sequence[int], keys: Sequence[str], *, exclusive: bool, threshold: float, prefix: str = ""
    ) -> None:
        """lengths (Sequence[int]): Number of tokens of each doc.
        keys (Sequence[str]): The keys of `cats` that are compared.
        exclusive (bool): Whether a doc has exactly one class.
        threshold (float): Probability from which a class counts as predicted, if they are not exclusive.
        prefix (str): What all keys start with and labels lack.
        """
        n_docs = len(lengths)
        self.lengths = lengths
        self.keys = tuple(keys)
        self.exclusive = exclusive
        self.threshold = threshold
        self.prefix = prefix
        self.counts: CountsT = np.zeros((n_docs, 2 if exclusive else 1 + 3 * len(keys)))
        self.correct: CountsT = np.full(n_docs, np.nan)
        # values of cats; of the gold ones NaN where the key is absent
        self._gold = np.full((n_docs, len(keys)), np.nan)
        self._predicted = np.zeros((n_docs, len(keys)))
        # whether a doc counts for more than accuracy
        self._is_decided = np.zeros(n_docs, dtype=bool)
        # exclusive classes: the key with the highest gold value, which may be none of the compared ones
        self._gold_keys: dict[int, str] = {}
        # exclusive classes: the gold and the predicted key as spaCy finds them; -1 for none
        self._gold_index = np.full(n_docs, -1)
        self._predicted_index = np.full(n_docs, -1)

    def set_exclusive(
        self, row: int, gold: Mapping[str, float], predicted: Mapping[str, float], *, gold_key: str, is_decided: bool
    ) -> None:
        """Compare a doc of exclusive classes. It is right if the likeliest class has the highest gold value, or, where
        gold only rules classes out, if it is none of those.

        gold, predicted (Mapping[str, float]): `cats`, with at least one of the keys in `gold`.
        gold_key (str): The key with the highest gold value, which may be one that is not compared here.
        is_decided (bool): Whether each class is known to apply or not to.
        """
        values = [predicted.get(key, 0.0) for key in self.keys]
        best = self.keys[values.index(max(values))]
        highest = gold[gold_key]
        if highest > 0:
            self._gold_keys[row] = gold_key
        is_right = gold.get(best, 0.0) == highest if highest > 0 else best not in gold
        self.counts[row] = [1, is_right]
        self.correct[row] = is_right
        self._is_decided[row] = is_decided
        self._predicted[row] = values
        self._predicted_index[row] = self._first_highest(predicted, values)
        gold_values = [gold.get(key, 0.0) for key in self.keys]
        self._gold_index[row] = self._first_highest(gold, gold_values)
        self._gold[row] = gold_values if self._gold_index[row] >= 0 else 0.0

    def set_multilabel(self, row: int, gold: Mapping[str, float], predicted: Mapping[str, float]) -> None:
        """Compare a doc of independent classes. It is right if every annotated class is on the right side of the
        threshold.

        gold, predicted (Mapping[str, float]): `cats`, with at least one of the keys in `gold`.
        """
        self._gold[row] = gold_values = np.array([gold.get(key, np.nan) for key in self.keys], dtype="d")
        self._predicted[row] = [predicted.get(key, 0.0) for key in self.keys]
        found, applies = self._predicted[row] >= self.threshold, gold_values > 0
        table = self.counts[row, 1:].reshape(-1, 3)
        table[:, TP] = found & applies
        table[:, FP] = found & (gold_values == 0)
        table[:, FN] = ~found & applies
        self.counts[row, 0] = 1
        self.correct[row] = bool(np.all((found == applies) | np.isnan(gold_values)))
        self._is_decided[row] = True

    def scores(self, rows: RowsT = None) -> dict[str, Any]:
        """Compute `acc` and the metrics of `Scorer.score_cats` for these docs; None where there is no doc to score.
        Docs of which only some exclusive classes are ruled out count for `acc` alone.
        """
        chosen = np.arange(len(self.counts)) if rows is None else rows
        annotated = chosen[self.counts[chosen, 0] > 0]
        scores: dict[str, Any] = dict.fromkeys(ALL_NAMES)
        if not len(annotated):
            return scores
        scores["acc"] = float(self.correct[annotated].sum()) / len(annotated)
        decided = annotated[self._is_decided[annotated]]
        return scores | (self._spacy_scores(decided) if len(decided) else {})

    def decisions(self) -> Decisions:
        """The class of each doc, or one row for each class that applies or is predicted. Exclusive docs of which only
        some classes are known not to apply are left out.
        """
        docs, gold, predicted, keys = self._exclusive_rows() if self.exclusive else self._multilabel_rows()
        labels = [key[len(self.prefix) :] for key in keys]
        places = docs, np.zeros_like(docs), np.array(self.lengths, dtype="int64")[docs]
        return Decisions.from_indices("docs", places, gold, predicted, labels)

    def _exclusive_rows(self) -> tuple[IntsT, IntsT, IntsT, list[str]]:
        """Doc, gold key and predicted key of each row, and the keys."""
        docs = np.fromiter(self._gold_keys, dtype="int64")
        keys = list(dict.fromkeys((*self.keys, *self._gold_keys.values())))
        index = {key: place for place, key in enumerate(keys)}
        gold = np.fromiter(map(index.__getitem__, self._gold_keys.values()), dtype="int64")
        return docs, gold, self._predicted[docs].argmax(axis=1), keys

    def _multilabel_rows(self) -> tuple[IntsT, IntsT, IntsT, list[str]]:
        """The same of docs with any number of classes."""
        applies, found = self._gold > 0, (self._predicted >= self.threshold) & ~np.isnan(self._gold)
        docs, keys = np.nonzero(applies | found)
        gold, predicted = (np.where(table[docs, keys], keys, NOTHING) for table in (applies, found))
        return docs, gold, predicted, list(self.keys)

    def _spacy_scores(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        table = self._exclusive_table(rows) if self.exclusive else self.counts[rows, 1:].sum(axis=0).reshape(-1, 3)
        by_key = {key: prf_score(counts) for key, counts in zip(self.keys, table, strict=True)}
        auc = self._auc(rows)
        micro = PRFScore()
        for score in by_key.values():
            micro += score
        macro = {
            "macro_p": sum(score.precision for score in by_key.values()) / len(by_key),
            "macro_r": sum(score.recall for score in by_key.values()) / len(by_key),
            "macro_f": sum(score.fscore for score in by_key.values()) / len(by_key),
            "macro_auc": sum(value or 0.0 for value in auc.values()) / len(by_key),
        }
        main = ("macro_f", "macro F") if self.exclusive else ("macro_auc", "macro AUC")
        return {
            "score": macro[main[0]],
            "score_desc": main[1],
            **{f"micro_{name}": value for name, value in micro.to_dict().items()},
            **macro,
            "f_per_type": {key: score.to_dict() for key, score in by_key.items()},
            "auc_per_type": auc,
        }

    def _exclusive_table(self, rows: NDArray[np.int64]) -> CountsT:
        """True positives, false positives and false negatives of each key, (n_keys, 3)."""
        gold, predicted = self._gold_index[rows], self._predicted_index[rows]
        table = np.zeros((len(self.keys), 3))
        is_right = gold == predicted
        for outcome, found in ((TP, gold[is_right]), (FP, predicted[~is_right]), (FN, gold[~is_right])):
            table[:, outcome] = np.bincount(found[found >= 0], minlength=len(self.keys))
        return table

    def _auc(self, rows: NDArray[np.int64]) -> dict[str, float | None]:
        """The area under the ROC curve of each key; None where gold does not have just two values."""
        result: dict[str, float | None] = {}
        for key, gold, predicted in zip(self.keys, self._gold[rows].T, self._predicted[rows].T, strict=True):
            known = ~np.isnan(gold)
            auc = ROCAUCScore()
            auc.golds, auc.cands = gold[known], predicted[known]
            result[key] = float(auc.score) if auc.is_binary() else None
        return result

    def _first_highest(self, cats: Mapping[str, float], values: Sequence[float]) -> int:
        """Index of the key with the highest value above 0, as spaCy finds it: of equal ones the first in `cats`."""
        highest = max(values)
        if not highest > 0:
            return -1
        if values.count(highest) == 1:
            return values.index(highest)
        return self.keys.index(next(key for key, value in cats.items() if value == highest and key in self.keys))


def main_score_of_classes(counts: CountsT, *, exclusive: bool) -> CountsT:
    """Compute accuracy, or macro F1 if the classes are not exclusive, from sums of `ClassVerdicts.counts`.

    counts: (..., n_counts) -> (...).
    """
    n_docs = counts[..., 0]
    if exclusive:
        return where_annotated(n_docs, counts[..., 1] / np.maximum(n_docs, 1))
    tables = counts[..., 1:].reshape(*counts.shape[:-1], -1, 3)
    return where_annotated(n_docs, f1(tables).mean(axis=-1))
