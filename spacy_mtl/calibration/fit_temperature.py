"""The temperature of a head: the one at which gold is likeliest."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from ..protocols.head_calibration import Evidence

# A head that makes no mistake in few docs would become certain of everything.
LEAST, MOST = 0.1, 10.0
N_TRIED = 17


def fit_temperature(evidence: Sequence[Evidence]) -> float:
    """Find the temperature with the least negative log-likelihood of the gold, from 0.1 to 10 (Guo et al. 2017).

    For classes or tags with complete gold the likelihood has one maximum. For others, 17 temperatures are tried first.

    RAISES ValueError: No item has gold.
    """

    def loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        return float(sum(part.losses(temperature).sum() for part in evidence))

    if not sum(len(part.losses(1.0)) for part in evidence):
        raise ValueError("no item has gold that the head knows")
    tried = np.linspace(np.log(LEAST), np.log(MOST), N_TRIED)
    best = int(np.argmin([loss(value) for value in tried]))
    bounds = (tried[max(best - 1, 0)], tried[min(best + 1, N_TRIED - 1)])
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))
