"""Predicted numbers against gold ones: MAE, RMSE, Pearson's and Spearman's correlation."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .prf_counts import CountsT, RowsT

METRICS = ("pearson", "spearman", "mae", "rmse")
# sums of each number: docs, gold values, predictions, their squares and products
N_SUMS = 6
# share of the mean square below which a variance counts as 0
TINY = 1e-12


class NumberVerdicts:
    """Numbers that were predicted for docs, compared with their gold (Protocol `Verdicts`).

    counts (NDArray[np.float64]): Additive, (n_docs, 6 * n_numbers). Of each number, with the gold value g and the
        prediction p in standard deviations from the mean: [1, g, p, g * g, p * p, g * p], zeros without gold.
    correct (NDArray[np.float64]): (n_docs,): NaN: a number is neither right nor wrong, but more or less near.
    """

    def __init__(
        self, gold: CountsT, predicted: CountsT, names: Sequence[str], *, means: CountsT, deviations: CountsT
    ) -> None:
        """gold, predicted (NDArray[np.float64]): (n_docs, n_numbers), gold is NaN where it is missing.
        names (Sequence[str]): Of the numbers.
        means, deviations (NDArray[np.float64]): Of the gold numbers that the head was trained on, (n_numbers,).
        """
        self.names = tuple(names)
        self.correct: CountsT = np.full(len(gold), np.nan)
        self._gold, self._predicted = gold, predicted
        g, p = (gold - means) / deviations, (predicted - means) / deviations
        table = np.stack([np.ones_like(g), g, p, g * g, p * p, g * p], axis=-1)
        self.counts: CountsT = np.where(np.isnan(gold)[..., None], 0.0, table).reshape(len(gold), -1)

    def scores(self, rows: RowsT = None) -> dict[str, Any]:
        """Compute the means of all metrics over the numbers, and `by_number`; None without gold."""
        chosen = slice(None) if rows is None else rows
        by_number = {}
        for column, name in enumerate(self.names):
            gold, predicted = self._gold[chosen, column], self._predicted[chosen, column]
            known = ~np.isnan(gold)
            if known.any():
                by_number[name] = scores_of_numbers(gold[known], predicted[known])
        if not by_number:
            return dict.fromkeys((*METRICS, "by_number"))
        means: dict[str, Any] = {
            metric: sum(found[metric] for found in by_number.values()) / len(by_number) for metric in METRICS
        }
        # the main score: as `main_score_of_numbers` computes it, from the same sums
        means["pearson"] = float(main_score_of_numbers(self.counts[chosen].sum(axis=0)))
        return means | {"by_number": by_number}


def main_score_of_numbers(counts: CountsT) -> CountsT:
    """Compute the mean over the numbers of Pearson's correlation, of which one below 0 counts as 0, from sums of
    `NumberVerdicts.counts`, (..., n_counts) -> (...).
    """
    sums = counts.reshape(*counts.shape[:-1], -1, N_SUMS)
    has_gold = sums[..., 0] > 0
    correlations = np.where(has_gold, np.maximum(correlations_of(sums), 0.0), 0.0)
    n_numbers = has_gold.sum(axis=-1)
    return np.where(n_numbers > 0, correlations.sum(axis=-1) / np.maximum(n_numbers, 1), np.nan)


def correlations_of(sums: CountsT) -> CountsT:
    """Compute Pearson's correlation from sums (..., 6). RETURNS: (...), 0 where gold or predictions are all equal."""
    n = np.maximum(sums[..., 0], 1.0)
    g, p, gg, pp, gp = (sums[..., index] / n for index in range(1, N_SUMS))
    scale = np.sqrt(_variance(g, gg) * _variance(p, pp))
    return np.where(scale > 0, np.clip((gp - g * p) / np.where(scale > 0, scale, 1.0), -1.0, 1.0), 0.0)


def _variance(mean: CountsT, mean_square: CountsT) -> CountsT:
    """The variance, 0 where it can't be told from rounding."""
    variance = mean_square - mean**2
    return np.where(variance > TINY * mean_square, variance, 0.0)


def scores_of_numbers(gold: CountsT, predicted: CountsT) -> dict[str, float]:
    """All metrics of one number, (n_docs,) each. Correlations are 0 where gold or predictions are all equal."""
    from scipy.stats import rankdata  # takes a second to import

    errors = predicted - gold
    return {
        "pearson": correlation(gold, predicted),
        "spearman": correlation(rankdata(gold), rankdata(predicted)),
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
    }


def correlation(one: CountsT, other: CountsT) -> float:
    """Pearson's correlation of two arrays (n,)."""
    x, y = one - one.mean(), other - other.mean()
    sums = np.array([len(x), 0.0, 0.0, (x * x).sum(), (y * y).sum(), (x * y).sum()])
    return float(correlations_of(sums))
