"""How far probabilities can be believed: calibration error, Brier score, log-likelihood and reliability."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..protocols.arrays import BoolsT, FloatsT
from ..protocols.head_calibration import Evidence

N_BINS = 15
N_DRAWS = 20


@dataclass(frozen=True)
class Bin:
    """Decisions of about the same probability.

    n (int): Their number. confidence (float): Their mean probability. accuracy (float): The share that is right.
    """

    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Measures:
    """How far a head's probabilities can be believed.

    n (int): Number of decisions.
    accuracy (float): The share that is right.
    ece (float): Expected calibration error: the mean difference between probability and accuracy over 15 bins of equal
        width, weighted by the number of decisions (Naeini et al. 2015).
    adaptive_ece (float): The same over bins with equal numbers of decisions.
    ece_by_chance (float): The ECE that is to be expected of so many decisions if the probabilities are exactly right:
        the mean of 20 draws from them. An ECE near this one can't be told from 0.
    brier (float): Mean squared difference between the probability and 1 for right, 0 for wrong.
    nll (float): Mean negative log-likelihood of the gold, in nats per annotated item.
    bins (list[Bin]): The bins of equal width that are not empty.
    """

    n: int
    accuracy: float
    ece: float
    adaptive_ece: float
    ece_by_chance: float
    brier: float
    nll: float
    bins: list[Bin]


def measure(evidence: Sequence[Evidence], temperature: float) -> Measures | None:
    """Measure the probabilities at a temperature. RETURNS: None if there is no decision to measure."""
    probabilities = np.concatenate([np.zeros(0), *(part.probabilities(temperature) for part in evidence)])
    correct = np.concatenate([np.zeros(0, dtype=bool), *(part.correct for part in evidence)])
    losses = np.concatenate([np.zeros(0), *(part.losses(temperature) for part in evidence)])
    if not len(probabilities):
        return None
    equal_width = np.minimum((probabilities * N_BINS).astype("int64"), N_BINS - 1)
    n = len(probabilities)
    equal_number = np.empty(n, dtype="int64")
    equal_number[np.argsort(probabilities, kind="stable")] = np.arange(n) * N_BINS // n
    bins = bins_of(probabilities, correct, equal_width)
    rng = np.random.default_rng(0)
    drawn = [bins_of(probabilities, rng.random(n) < probabilities, equal_width) for _ in range(N_DRAWS)]
    return Measures(
        n=n,
        accuracy=float(correct.mean()),
        ece=calibration_error(bins),
        adaptive_ece=calibration_error(bins_of(probabilities, correct, equal_number)),
        ece_by_chance=float(np.mean([calibration_error(one) for one in drawn])),
        brier=float(((probabilities - correct) ** 2).mean()),
        nll=float(losses.mean()) if len(losses) else 0.0,
        bins=bins,
    )


def bins_of(probabilities: FloatsT, correct: BoolsT, index: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[Bin]:
    """Make the bins. index (IntsT): The bin of each decision, (n,)."""
    numbers = np.bincount(index, minlength=N_BINS)
    sums = [np.bincount(index, weights=values, minlength=N_BINS) for values in (probabilities, correct)]
    return [
        Bin(int(n), float(confidence / n), float(right / n))
        for n, confidence, right in zip(numbers, *sums, strict=True)
        if n
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Compute the weighted mean difference between probability and accuracy."""
    return sum(one.n * abs(one.confidence - one.accuracy) for one in bins) / sum(one.n for one in bins)
