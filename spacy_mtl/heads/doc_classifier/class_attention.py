"""Averages of the logits of tokens, over docs and around each token: an attention for each class weighs the tokens.

Label attention of Mullenbach et al. 2018 ("Explainable Prediction of Medical Codes from Clinical Text", NAACL), with a
logit in place of a vector for each token and class, so that the same scores tell which classes apply near a token.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from thinc.types import Ints1d
from thinc.util import get_array_module, to_numpy

from ...layers.ragged_rows import bounds, row_owners
from ...protocols.arrays import ArrayT

# the attention's logits lie between these, in nats, so that no sum of their exponentials over- or underflows
BOUND = 10.0
# numbers of tokens on each side, and the factor of each window: a near token counts in all of them
WINDOWS = ((2, 1.0), (4, 0.3), (8, 0.1), (16, 0.03), (32, 0.01))


def attend(raw: ArrayT) -> tuple[ArrayT, Callable[[ArrayT], ArrayT]]:
    """Turn logits of the attention into weights above 0, (n_tokens, n_labels).

    RETURNS: The weights, which are not normalised, and backprop: d_weights -> d_raw.
    """
    xp = get_array_module(raw)
    bent = xp.tanh(raw / BOUND)
    weights = xp.exp(BOUND * bent)
    return weights, lambda d_weights: d_weights * weights * (1.0 - bent**2)


def pool(weights: ArrayT, weighted: ArrayT, lengths: Ints1d) -> tuple[ArrayT, Callable[[ArrayT], Any]]:
    """Average the tokens' logits over each doc.

    RETURNS: (n_docs, n_labels), 0 for a doc without tokens, and backprop: d_pooled -> d_weights, d_weighted.
    """
    xp, edges = get_array_module(weights), bounds(to_numpy(lengths))
    owners, starts, ends = xp.asarray(row_owners(to_numpy(lengths))), *map(xp.asarray, (edges[:-1], edges[1:]))
    total = xp.maximum(between(weights, starts, ends), xp.float32(np.exp(-2 * BOUND)))
    pooled = between(weighted, starts, ends) / total

    def backprop(d_pooled: ArrayT) -> tuple[ArrayT, ArrayT]:
        d_sum = d_pooled / total
        return (-d_sum * pooled)[owners], d_sum[owners]

    return pooled, backprop


def pool_near(weights: ArrayT, weighted: ArrayT, lengths: Ints1d) -> tuple[ArrayT, Callable[[ArrayT], Any]]:
    """Average the tokens' logits around each token of a doc, near tokens more than those far away (`WINDOWS`).

    RETURNS: (n_tokens, n_labels), and backprop: d_near -> d_weights, d_weighted.
    """
    total = _spread(weights, lengths)
    near = _spread(weighted, lengths) / total

    def backprop(d_near: ArrayT) -> tuple[ArrayT, ArrayT]:
        # a token is as far from another as that one from it, so that the sums are their own backprop
        d_sum = d_near / total
        return _spread(-d_sum * near, lengths), _spread(d_sum, lengths)

    return near, backprop


def between(rows: ArrayT, starts: ArrayT, ends: ArrayT) -> ArrayT:
    """Sum the rows of each range, (n, width) -> (n_ranges, width)."""
    return _differences(_running_sums(rows), starts, ends).astype(rows.dtype)


def _spread(rows: ArrayT, lengths: Ints1d) -> ArrayT:
    """The weighted sum of all windows around each row, within its doc."""
    xp, sizes = get_array_module(rows), to_numpy(lengths)
    edges, owners, places = bounds(sizes), row_owners(sizes), np.arange(len(rows))
    first, stop = edges[:-1][owners], edges[1:][owners]
    sums = _running_sums(rows)
    spread = 0.0
    for width, factor in WINDOWS:
        starts, ends = np.maximum(places - width, first), np.minimum(places + width + 1, stop)
        spread = spread + factor * _differences(sums, xp.asarray(starts), xp.asarray(ends))
    return xp.asarray(spread, dtype=rows.dtype)


def _running_sums(rows: ArrayT) -> ArrayT:
    """Sums of the first rows, in double precision, (n + 1, width)."""
    xp = get_array_module(rows)
    sums = xp.zeros((len(rows) + 1, rows.shape[1]), dtype="float64")
    xp.cumsum(rows, axis=0, dtype="float64", out=sums[1:])
    return sums


def _differences(sums: ArrayT, starts: ArrayT, ends: ArrayT) -> ArrayT:
    return sums[ends] - sums[starts]
