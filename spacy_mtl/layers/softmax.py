"""Softmax and sigmoid in whole arrays, with the losses that belong to them."""

from collections.abc import Callable

from thinc.util import get_array_module, to_numpy

from ..protocols.arrays import ArrayT
from .ragged_rows import row_owners


def row_max(rows: ArrayT) -> ArrayT:
    """The greatest number of each row, (n, k) -> (n, 1). Rows may be none, or have no numbers: then minus infinity."""
    if rows.size:
        return rows.max(axis=1, keepdims=True)
    xp = get_array_module(rows)
    return xp.full((len(rows), 1), -xp.inf, dtype=rows.dtype)


def softmax(logits: ArrayT) -> ArrayT:
    """Row-wise softmax, (n, n_labels)."""
    xp = get_array_module(logits)
    shifted = xp.exp(logits - row_max(logits))
    return shifted / shifted.sum(axis=1, keepdims=True)


def log_softmax(logits: ArrayT) -> ArrayT:
    """Row-wise log of the softmax, in nats."""
    xp = get_array_module(logits)
    shifted = logits - row_max(logits)
    return shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))


def backprop_softmax(probabilities: ArrayT, gradient: ArrayT) -> ArrayT:
    """From a gradient with respect to the probabilities to one with respect to the logits."""
    weighted = gradient * probabilities
    return weighted - probabilities * weighted.sum(axis=1, keepdims=True)


def sigmoid(logits: ArrayT) -> ArrayT:
    """Element-wise logistic function; saturates without overflow."""
    xp = get_array_module(logits)
    return 0.5 * (xp.tanh(0.5 * logits) + 1.0)


def softplus(logits: ArrayT) -> ArrayT:
    """log(1 + exp(x)), element-wise."""
    xp = get_array_module(logits)
    return xp.logaddexp(0.0, logits)


def repeat_rows(rows: ArrayT, lengths: ArrayT) -> tuple[ArrayT, Callable[[ArrayT], ArrayT]]:
    """Repeat row i lengths[i] times. RETURNS: (sum of lengths, n) and backprop, which sums over the repeats."""
    xp = get_array_module(rows)
    index = xp.asarray(row_owners(to_numpy(lengths)))

    def backprop(gradient: ArrayT) -> ArrayT:
        summed = xp.zeros_like(rows)
        xp.add.at(summed, index, gradient)
        return summed

    return rows[index], backprop
