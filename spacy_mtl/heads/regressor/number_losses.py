"""Losses of numbers in standard deviations, part of which may be missing."""

from typing import Literal

from thinc.util import get_array_module

from ...protocols.arrays import ArrayT

NumberLossT = Literal["huber", "squared"]


def number_loss(gold: ArrayT, scores: ArrayT, kind: NumberLossT, delta: float) -> tuple[ArrayT, ArrayT]:
    """Compute half the squared error, or Huber's loss, which grows linearly beyond `delta`.

    gold (ArrayT): (n_docs, n_numbers), NaN where missing.
    scores (ArrayT): Predictions, (n_docs, n_numbers).
    kind (str): "huber" or "squared".
    delta (float): Error up to which Huber's loss is half the squared error.
    RETURNS: the loss of each row, (n_docs,), and the gradient of their sum, (n_docs, n_numbers).
    """
    xp = get_array_module(scores)
    errors = xp.where(xp.isnan(gold), 0.0, scores - gold)
    slopes = errors if kind == "squared" else xp.clip(errors, -delta, delta)
    # where the slope is cut off: delta * (|error| - delta / 2)
    losses = slopes * (errors - 0.5 * slopes)
    return losses.sum(axis=1), slopes.astype(scores.dtype)
