"""Classes of docs from scores of their tokens: an attention for each class chooses the tokens that speak for it.

Label attention of Mullenbach et al. 2018 ("Explainable Prediction of Medical Codes from Clinical Text", NAACL), with a
logit in place of a vector for each token and class, so that the same scores tell which classes apply near a token.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from thinc.api import Model
from thinc.types import Ints1d, Ragged
from thinc.util import get_array_module, to_numpy

from ..protocols.arrays import ArrayT
from ..protocols.head import HeadInput, HeadModelT
from .dropout import dropout
from .linear import linear
from .ragged_rows import bounds, row_owners

# the attention's logits lie between these, in nats, so that no sum of their exponentials over- or underflows
BOUND = 10.0
# tokens on each side, and the factor of what stands so near: within two tokens a word counts for the sum of all factors
WINDOWS = ((2, 1.0), (4, 0.3), (8, 0.1), (16, 0.03), (32, 0.01))


@dataclass
class ClassScores:
    """Scores of the classes of a batch, or their gradient.

    logits (Floats2d): Of each doc, (n_docs, n_labels).
    weights (Floats2d): Attention of each class to each token, above 0, not normalised, (n_tokens, n_labels).
    weighted (Floats2d): The logits of each token times `weights`, (n_tokens, n_labels).
    """

    logits: ArrayT
    weights: ArrayT
    weighted: ArrayT

    def __mul__(self, factor: float) -> "ClassScores":
        return ClassScores(self.logits * factor, self.weights * factor, self.weighted * factor)

    def __add__(self, other: "ClassScores") -> "ClassScores":
        weights, weighted = self.weights + other.weights, self.weighted + other.weighted
        return ClassScores(self.logits + other.logits, weights, weighted)

    def with_logits(self, logits: ArrayT) -> "ClassScores":
        """Make a gradient of the logits alone."""
        return ClassScores(logits, self.weights * 0, self.weighted * 0)


def class_attention(name: str, attrs: dict[str, Any]) -> HeadModelT:
    """Build the network: HeadInput -> ClassScores. A doc without tokens has the bias of each class as its logit.

    name (str): Name of the model.
    attrs (dict[str, Any]): Attributes of the model, among them "labels".
    """
    layers: list[Model[Any, Any]] = [dropout(), linear(), linear(bias=False)]
    refs = {"output": layers[1], "attention": layers[2]}
    return Model(name, forward, init=init, layers=layers, refs=refs, attrs=attrs)


def forward(model: HeadModelT, X: HeadInput, is_train: bool) -> tuple[ClassScores, Any]:
    """RETURNS: The scores, and backprop: their gradient -> the gradient of the token vectors."""
    output, attention = model.get_ref("output"), model.get_ref("attention")
    dropped, bp_dropped = model.layers[0](X.tokvecs.dataXd, is_train)
    logits, bp_logits = output(dropped, is_train)
    raw, bp_raw = attention(dropped, is_train)
    xp = get_array_module(logits)
    bent = xp.tanh(raw / BOUND)
    weights = xp.exp(BOUND * bent)
    weighted = weights * logits
    pooled, bp_pooled = pool(weights, weighted, X.tokvecs.lengths)
    is_empty = X.tokvecs.lengths == 0
    pooled[is_empty] = output.get_param("b")

    def backprop(d_scores: ClassScores) -> HeadInput:
        d_weights, d_weighted = bp_pooled(d_scores.logits)
        d_weighted += d_scores.weighted
        d_weights += d_scores.weights + d_weighted * logits
        output.inc_grad("b", d_scores.logits[is_empty].sum(axis=0))
        d_dropped = bp_logits(d_weighted * weights)
        d_dropped += bp_raw(d_weights * weights * (1.0 - bent**2))
        return HeadInput([], Ragged(bp_dropped(d_dropped), X.tokvecs.lengths), [])

    return ClassScores(pooled, weights, weighted), backprop


def init(model: HeadModelT, X: HeadInput | None = None, Y: Any = None) -> None:
    """Set the sizes from the sample and the labels. All tokens get the same attention at first."""
    assert X is not None
    for name in ("output", "attention"):
        layer = model.get_ref(name)
        layer.set_dim("nO", len(model.attrs["labels"]), force=True)
        layer.initialize(X.tokvecs.dataXd)
    attention = model.get_ref("attention")
    attention.set_param("W", attention.get_param("W") * 0)


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
