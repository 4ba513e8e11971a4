"""Which labels of directed pairs are likely enough to be found, and how sure that is."""

import math
from collections.abc import Sequence

import numpy as np

from ...layers.calibrated import calibrated_sigmoid, calibrated_softmax
from ...layers.softmax import sigmoid, softmax
from ...protocols.arrays import BoolsT, FloatsT

# how far below the threshold logits may be to be looked at: much more than rounding
MARGIN = 1e-3


def may_hold(logits: FloatsT, *, exclusive: bool, threshold: float) -> BoolsT:
    """Check cheaply whether a row may have a label by `likely_labels`, (n_rows,). Where it has none, this may say True.

    logits (FloatsT): (n_rows, n_outputs), the first one for no label if labels are exclusive.
    """
    largest = logits[:, int(exclusive) :].max(axis=1, initial=-np.inf)
    if exclusive:
        return np.asarray(largest >= logits[:, 0])
    least = -np.inf if threshold <= 0.0 else math.log(threshold) - math.log1p(-min(threshold, 1.0 - 1e-6))
    return np.asarray(largest >= least - MARGIN)


def likely_labels(logits: FloatsT, allowed: BoolsT, *, exclusive: bool, threshold: float) -> tuple[FloatsT, BoolsT]:
    """Compute the probability of each label given the types, and whether it would be found, (n_rows, n_labels) each.

    logits (FloatsT): (n_rows, n_outputs), the first one for no label if labels are exclusive.
    allowed (BoolsT): (n_rows, n_labels): the labels that the types do not rule out.
    exclusive (bool): Whether a pair has at most one label, the likeliest one.
    threshold (float): Probability from which other labels are found.
    """
    if not exclusive:
        probabilities = sigmoid(logits) * allowed
        return probabilities, (probabilities >= threshold) & allowed
    none = np.ones((len(logits), 1), dtype=bool)
    probabilities = softmax(np.where(np.hstack([none, allowed]), logits, -np.inf))
    best = probabilities.argmax(axis=1) if len(logits) else np.zeros(0, dtype="int64")
    return probabilities[:, 1:], best[:, None] == np.arange(1, allowed.shape[1] + 1)


def calibrated_labels(
    logits: FloatsT, allowed: BoolsT, *, exclusive: bool, threshold: float, temperature: float, fitted_with: float
) -> FloatsT:
    """Compute the probability of each label at a temperature, (n_rows, n_labels). Arguments as those of
    `likely_labels`, which decides without a temperature.

    fitted_with (float): The threshold that the temperature was fitted with.
    """
    if not exclusive:
        reached = (sigmoid(logits) * allowed >= threshold) & allowed
        return calibrated_sigmoid(logits, reached, temperature, threshold, fitted_with=fitted_with) * allowed
    none = np.ones((len(logits), 1), dtype=bool)
    return calibrated_softmax(np.where(np.hstack([none, allowed]), logits, -np.inf), temperature)[:, 1:]


def only_in_text_order(holds: BoolsT, columns: Sequence[int]) -> BoolsT:
    """Move what is found of symmetric labels to the direction of the text, in place.

    holds (BoolsT): (2 * n_pairs, n_labels): the two directions of each pair one after the other.
    columns (Sequence[int]): The symmetric labels.
    """
    if columns:
        holds[::2, columns] |= holds[1::2, columns]
        holds[1::2, columns] = False
    return holds


def certainty_of(probabilities: FloatsT, holds: BoolsT, *, exclusive: bool) -> FloatsT:
    """Compute the probability of what was decided about each row, (n_rows,): of its least certain label if it can have
    several.
    """
    if not exclusive:
        least: FloatsT = np.where(holds, probabilities, 1.0 - probabilities).min(axis=1, initial=1.0)
        return least
    sure = np.where(holds, probabilities, 0.0).max(axis=1, initial=0.0)
    return np.where(holds.any(axis=1), sure, 1.0 - probabilities.sum(axis=1))
