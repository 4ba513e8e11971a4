"""Softmax and sigmoid in whole arrays, with the losses that belong to them."""

from typing import cast

from thinc.types import Floats2d
from thinc.util import get_array_module


def softmax(logits: Floats2d) -> Floats2d:
    """Row-wise softmax, (n, n_labels)."""
    xp = get_array_module(logits)
    shifted = xp.exp(logits - logits.max(axis=1, keepdims=True, initial=-xp.inf))
    return cast(Floats2d, shifted / shifted.sum(axis=1, keepdims=True))


def log_softmax(logits: Floats2d) -> Floats2d:
    """Row-wise log of the softmax, in nats."""
    xp = get_array_module(logits)
    shifted = logits - logits.max(axis=1, keepdims=True, initial=-xp.inf)
    return cast(Floats2d, shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True)))


def backprop_softmax(probabilities: Floats2d, gradient: Floats2d) -> Floats2d:
    """From a gradient with respect to the probabilities to one with respect to the logits."""
    weighted = gradient * probabilities
    return cast(Floats2d, weighted - probabilities * weighted.sum(axis=1, keepdims=True))


def sigmoid(logits: Floats2d) -> Floats2d:
    """Element-wise logistic function; saturates without overflow."""
    xp = get_array_module(logits)
    return cast(Floats2d, 0.5 * (xp.tanh(0.5 * logits) + 1.0))


def softplus(logits: Floats2d) -> Floats2d:
    """log(1 + exp(x)), element-wise."""
    xp = get_array_module(logits)
    return cast(Floats2d, xp.logaddexp(0.0, logits))


def repeat_rows(rows: Floats2d, lengths):  # type: ignore[no-untyped-def]
    """Repeat row i lengths[i] times. RETURNS: (sum of lengths, n) and backprop, which sums over the repeats."""
    xp = get_array_module(rows)
    index = xp.repeat(xp.arange(len(rows)), lengths.tolist())

    def backprop(gradient: Floats2d) -> Floats2d:
        summed = xp.zeros_like(rows)
        xp.add.at(summed, index, gradient)
        return cast(Floats2d, summed)

    return rows[index], backprop
