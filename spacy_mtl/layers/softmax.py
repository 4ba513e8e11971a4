"""Softmax, sigmoid and their relatives on whole arrays of numpy or cupy, for heads, `crf/` and `sharing/`."""

from collections.abc import Callable

from thinc.util import get_array_module, to_numpy

from ..protocols.arrays import ArrayT
from .ragged_rows import row_owners


def row_max(rows: ArrayT) -> ArrayT:
    """Return the maximum of each row, (n, k) -> (n, 1). It is minus infinity if k is 0; n may be 0."""
    if rows.size:
        return rows.max(axis=1, keepdims=True)
    xp = get_array_module(rows)
    return xp.full((len(rows), 1), -xp.inf, dtype=rows.dtype)


def softmax(logits: ArrayT) -> ArrayT:
    """Compute the softmax of each row, (n, n_labels)."""
    xp = get_array_module(logits)
    shifted = xp.exp(logits - row_max(logits))
    return shifted / shifted.sum(axis=1, keepdims=True)


def log_softmax(logits: ArrayT) -> ArrayT:
    """Compute the log of the softmax of each row, in nats, (n, n_labels)."""
    xp = get_array_module(logits)
    shifted = logits - row_max(logits)
    return shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))


def backprop_softmax(probabilities: ArrayT, gradient: ArrayT) -> ArrayT:
    """Convert the gradient of the probabilities to that of the logits, (n, n_labels)."""
    weighted = gradient * probabilities
    return weighted - probabilities * weighted.sum(axis=1, keepdims=True)


def sigmoid(logits: ArrayT) -> ArrayT:
    """Compute the logistic function of each number. Large numbers saturate without overflow."""
    xp = get_array_module(logits)
    return 0.5 * (xp.tanh(0.5 * logits) + 1.0)


def softplus(logits: ArrayT) -> ArrayT:
    """Compute log(1 + exp(x)) for each number."""
    xp = get_array_module(logits)
    return xp.logaddexp(0.0, logits)


def repeat_rows(rows: ArrayT, lengths: ArrayT) -> tuple[ArrayT, Callable[[ArrayT], ArrayT]]:
    """Repeat row i lengths[i] times.

    RETURNS: The rows (sum of lengths, n), and backprop, which sums the gradients of the copies of each row.
    """
    xp = get_array_module(rows)
    index = xp.asarray(row_owners(to_numpy(lengths)))

    def backprop(gradient: ArrayT) -> ArrayT:
        summed = xp.zeros_like(rows)
        xp.add.at(summed, index, gradient)
        return summed

    return rows[index], backprop
