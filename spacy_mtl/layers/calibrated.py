"""Probabilities at a temperature (Guo et al. 2017, "On Calibration of Modern Neural Networks"). They are in double
precision, and agree with what is decided without a temperature.
"""

import math

import numpy as np
from thinc.util import to_numpy

from ..protocols.arrays import ArrayT, BoolsT, FloatsT
from .softmax import sigmoid, softmax

# the nearest that a threshold is taken to be to 0 and to 1
EDGE = 1e-6


def calibrated_softmax(logits: ArrayT, temperature: float) -> FloatsT:
    """Compute the softmax of each row at a temperature, (n, n_labels). The order of the labels stays."""
    probabilities: FloatsT = softmax(to_numpy(logits).astype("d") / temperature)
    return probabilities


def calibrated_odds(logits: ArrayT, temperature: float, threshold: float) -> FloatsT:
    """Divide log-odds by a temperature, as seen from the threshold that the temperature was fitted with, so that what
    reaches that threshold still does.

    With a threshold of 0.5 these are plain quotients. With 0.8, whose log-odds are 1.39, log-odds of 3.39 become 2.39
    at a temperature of 2.
    """
    pivot = log_odds_of(threshold)
    odds: FloatsT = (to_numpy(logits).astype("d") - pivot) / temperature + pivot
    return odds


def calibrated_sigmoid(
    logits: ArrayT, decided: BoolsT, temperature: float, threshold: float, *, fitted_with: float
) -> FloatsT:
    """Compute the probabilities of independent labels at a temperature, (n, n_labels).

    decided (BoolsT): The labels that reach the threshold without a temperature; neither rounding nor another threshold
        than that of the fit changes that.
    threshold (float): The threshold that the head has. fitted_with (float): That which the temperature was fitted with.
    """
    probabilities = sigmoid(calibrated_odds(logits, temperature, fitted_with))
    below = np.nextafter(threshold, 0.0)
    return np.asarray(np.where(decided, np.maximum(probabilities, threshold), np.minimum(probabilities, below)))


def log_odds_of(threshold: float) -> float:
    """Compute log p - log(1 - p) of a threshold, which stays finite at 0 and 1."""
    near = min(max(threshold, EDGE), 1.0 - EDGE)
    return math.log(near) - math.log1p(-near)
