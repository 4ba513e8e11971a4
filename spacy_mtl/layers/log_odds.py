"""The log-odds of one class among exclusive ones, for heads that explain themselves."""

from collections.abc import Sequence

import numpy as np
from thinc.types import Floats2d
from thinc.util import get_array_module, to_numpy

from ..protocols.arrays import ArrayT, FloatsT
from ..protocols.head_explanation import Target, TargetName
from .softmax import softmax


def log_odds(logits: ArrayT, column: int) -> tuple[float, FloatsT]:
    """Compute log p - log(1 - p) of a class, where p is its softmax: its logit minus the log of the sum of the others'
    exponentials. A class without others has no odds: its logit stands for them.

    logits (Floats1d): Of all classes, (n_labels,); -inf for those that are ruled out.
    RETURNS: The log-odds in nats, and their gradient, (n_labels,), in double precision.
    """
    row: FloatsT = to_numpy(logits).astype("d")
    gradient = np.zeros(len(row))
    is_other = np.isfinite(row) & (np.arange(len(row)) != column)
    if is_other.any():
        others = row[is_other]
        gradient[is_other] = -softmax(others[None])[0]
        peak = others.max()
        row = row - peak - np.log(np.exp(others - peak).sum())
    gradient[column] = 1.0
    return float(row[column]), gradient


def log_odds_at(logits: ArrayT, place: int, column: int) -> tuple[float, FloatsT]:
    """Compute the log-odds in one row of logits (n, n_labels), and the gradient of all rows."""
    value, own = log_odds(logits[place], column)
    gradient = np.zeros(logits.shape)
    gradient[place] = own
    return value, gradient


def token_target(labels: Sequence[str], place: int, column: int) -> Target:
    """Build the target of a head whose scores are the logits of each token: the log-odds of a label of one token."""

    def measure(scores: Floats2d) -> tuple[float, Floats2d]:
        value, gradient = log_odds_at(scores, place, column)
        return value, get_array_module(scores).asarray(gradient, dtype="f")

    return Target(TargetName(labels[column], (place,)), "log-odds", (place,), measure)
