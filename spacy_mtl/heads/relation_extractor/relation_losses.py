"""Losses of the labels of directed pairs, with labels that exclude each other (softmax) or not (sigmoid)."""

from collections.abc import Sequence

import numpy as np
from thinc.util import get_array_module

from ...layers.softmax import log_softmax, sigmoid, softmax, softplus
from ...protocols.arrays import ArrayT, BoolsT


def average_directions(values: ArrayT, columns: Sequence[int]) -> ArrayT:
    """Average the two directions of pairs in the columns of symmetric labels. It is its own backprop.

    values (Floats2d): (2 * n_pairs, n_outputs): the two directions of each pair one after the other.
    """
    if not columns:
        return values
    averaged: ArrayT = values.copy()
    both = 0.5 * (averaged[::2, columns] + averaged[1::2, columns])
    averaged[::2, columns] = averaged[1::2, columns] = both
    return averaged


def gold_losses(gold: ArrayT, logits: ArrayT, allowed: ArrayT, *, exclusive: bool) -> tuple[float, ArrayT]:
    """Compute the sum of the losses in nats, and its gradient. All in numpy.

    gold (FloatsT): (n_rows, n_labels): 1, 0, or NaN where it is missing.
    logits (FloatsT): (n_rows, n_outputs).
    allowed (BoolsT): (n_rows, n_labels): the labels that the types do not rule out.
    """
    known = ~np.isnan(gold)
    target = np.where(known, gold, 0.0)
    if not exclusive:
        factor = known & (allowed | (target > 0))
        loss = (softplus(logits) - target * logits) * factor
        return float(loss.sum()), (sigmoid(logits) - target) * factor
    possible = np.hstack([np.ones((len(gold), 1), dtype=bool), allowed | (target > 0)])
    masked = np.where(possible, logits, -np.inf)
    whole = np.hstack([1.0 - target.sum(axis=1, keepdims=True), target])
    log_probabilities = np.where(possible, log_softmax(masked), 0.0)
    rows = known.all(axis=1)[:, None]
    return -float((whole * log_probabilities * rows).sum()), (softmax(masked) - whole) * rows


def teacher_losses(
    target: ArrayT, logits: ArrayT, *, exclusive: bool, known: BoolsT | None = None
) -> tuple[float, ArrayT]:
    """Compute the sum of the cross-entropies in nats against a teacher's probabilities, and its gradient.

    target (Floats2d): The teacher's probabilities, (n_rows, n_outputs).
    logits (Floats2d): (n_rows, n_outputs).
    known (BoolsT | None): The rows that the teacher has scored, (n_rows,), in main memory; None for all. Others have no
        loss.
    """
    if exclusive:
        loss = -(target * log_softmax(logits))
    else:
        loss = softplus(logits) - target * logits
    gradient = probabilities_of(logits, exclusive=exclusive) - target
    if known is not None:
        factor = get_array_module(logits).asarray(known)[:, None]
        loss, gradient = loss * factor, gradient * factor
    return float(loss.sum(dtype="d")), gradient


def probabilities_of(logits: ArrayT, *, exclusive: bool) -> ArrayT:
    """Compute the probability of each output, (n_rows, n_outputs)."""
    return softmax(logits) if exclusive else sigmoid(logits)
