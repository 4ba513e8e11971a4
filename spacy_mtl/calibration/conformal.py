"""Split conformal prediction: sets that contain the truth with a given probability, whatever the model.

Angelopoulos and Bates 2021, "A Gentle Introduction to Conformal Prediction and Distribution-Free Uncertainty
Quantification". The guarantee is for docs that come from the same source as those of the calibration, in any order: on
average over such calibration sets, a share of at least `coverage` of new docs has its truth in the set. Under another
distribution, such as texts of another genre, there is none.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from ..protocols.arrays import FloatsT
from ..protocols.head_calibration import Ranked

MethodT = Literal["lac", "aps"]
METHODS: tuple[str, ...] = get_args(MethodT)


def needed_docs(coverage: float) -> int:
    """The least number of docs with which a coverage can be promised: ceil(1 / (1 - coverage)) - 1."""
    return math.ceil(1.0 / (1.0 - coverage) - 1e-9) - 1


def conformal_limit(scores: FloatsT, coverage: float) -> float:
    """Find the limit of the scores of new truths: the k-th smallest score of n with k = ceil((n + 1) * coverage).

    scores (FloatsT): How strange the truth of each doc is, (n_docs,); infinite where it could not be ranked.
    RAISES ValueError: There are too few docs.
    """
    n = len(scores)
    place = math.ceil((n + 1) * coverage - 1e-9)
    if place > n:
        raise ValueError(f"{n} docs are too few for a coverage of {coverage:g}, which needs {needed_docs(coverage)}")
    return float(np.sort(scores)[place - 1])


def truth_scores(gold_logs: FloatsT, ranked: Sequence[Ranked] | None) -> FloatsT:
    """Compute how strange the truth of each doc is, (n_docs,).

    gold_logs (FloatsT): The log-probability of the truth, (n_docs,).
    ranked (Sequence[Ranked] | None): None for "lac" (least ambiguous sets, Sadinle et al. 2019): the negative
        log-probability in nats. For "aps" (adaptive sets, Romano et al. 2020) the likeliest outcomes of each doc: the
        sum of the probabilities from the likeliest one down to the truth; infinite if it is not among them.
    """
    if ranked is None:
        return -gold_logs
    scores = np.full(len(gold_logs), np.inf)
    for row, (log, found) in enumerate(zip(gold_logs.tolist(), ranked, strict=True)):
        # rounding must not put the truth behind itself
        above = np.exp(found.logs[found.logs >= log - 1e-9])
        if len(found.logs) and found.logs[-1] <= log + 1e-9 and len(above):
            scores[row] = min(float(above.sum()), 1.0)
    return scores
