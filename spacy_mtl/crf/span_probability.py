"""The probability of a span under a CRF: the sum over all tag sequences that contain exactly this span."""

import numpy as np
from numpy.typing import NDArray
from thinc.util import get_array_module, to_numpy

from ..protocols.arrays import ArrayT, IntsT
from .forward_backward import forward_backward
from .linear_chain import CRFScores
from .log_lattice import LogLattice, log_sum
from .scaled_lattice import ScaledLattice


def span_probabilities(scores: CRFScores, tags: IntsT, starts: IntsT, ends: IntsT) -> NDArray[np.float64]:
    """Return the probabilities of decoded spans.

    scores (CRFScores): Constrained potentials.
    tags (Ints1d): The decoded tags of all docs, end to end, (n_tokens,).
    starts (Ints1d): The row of each span's first token, (n_spans,).
    ends (Ints1d): The row after each span's last token, (n_spans,).
    RETURNS (Floats1d): Probabilities from 0 to 1, (n_spans,).
    """
    if not len(starts):
        return np.zeros(0)
    lattice = forward_backward(scores)
    xp = get_array_module(scores.emissions)
    packed = np.empty(len(tags), dtype=np.int64)
    packed[lattice.packing.rows] = np.arange(len(tags))
    emissions, transitions = scores.emissions, scores.transitions.astype("d")
    steps = xp.zeros(len(tags))
    steps[1:] = transitions[tags[:-1], tags[1:]] + emissions[np.arange(1, len(tags)), tags[1:]]
    steps[1:] -= lattice.log_scale[packed[1:]]
    total = xp.cumsum(steps)
    inside = total[ends - 1] - total[starts]
    log_alpha, _, _ = lattice.logs(packed[starts])
    enter = log_alpha[np.arange(len(starts)), tags[starts]]
    logs = enter + inside + _leave(lattice, transitions, packed, tags, ends)
    return np.asarray(to_numpy(xp.exp(xp.minimum(logs, 0.0))))


def _leave(lattice: ScaledLattice | LogLattice, transitions: ArrayT, packed: IntsT, tags: IntsT, ends: IntsT) -> ArrayT:
    """Return the log of the probability mass of all ways to go on after each span ends, (n_spans,)."""
    xp = get_array_module(transitions)
    last = ends - 1
    is_final = np.isin(packed[last], lattice.packing.last)
    following = np.where(is_final, last, np.minimum(ends, len(tags) - 1))
    _, _, log_step = lattice.logs(packed[following])
    _, log_beta, _ = lattice.logs(packed[last])
    moves = transitions[tags[last]]
    # Tags that may follow the span's last tag but not O would continue the span. In BIO that is I of the same label.
    goes_on = (moves > -np.inf) & (transitions[0][None] == -np.inf)
    rest = log_sum(xp.where(goes_on, -np.inf, moves + log_step), axis=1)
    return xp.where(xp.asarray(is_final), log_beta[np.arange(len(last)), tags[last]], rest)
