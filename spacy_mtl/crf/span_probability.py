"""How likely a CRF holds exactly a span to be: the summed probability of all tag sequences that contain it."""

import numpy as np
from numpy.typing import NDArray
from thinc.util import get_array_module, to_numpy

from ..protocols.arrays import ArrayT, IntsT
from .forward_backward import forward_backward
from .linear_chain import CRFScores, Lattice
from .log_lattice import LogLattice, log_sum


def span_probabilities(scores: CRFScores, tags: IntsT, starts: IntsT, ends: IntsT) -> NDArray[np.float64]:
    """Probabilities of decoded spans.

    scores (CRFScores): Constrained potentials. tags (n_tokens,): the decoded tags. starts, ends (n_spans,): rows of
    each span's first token and one past its last. RETURNS: (n_spans,), from 0 to 1.
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
    return np.asarray(to_numpy(xp.exp(enter + inside + _leave(lattice, transitions, packed, tags, ends))))


def _leave(lattice: Lattice | LogLattice, transitions: ArrayT, packed: IntsT, tags: IntsT, ends: IntsT) -> ArrayT:
    """Log of the probability mass of the rest of the sequence, (n_spans,), given that the span doesn't go on."""
    xp = get_array_module(transitions)
    last = ends - 1
    is_final = np.isin(packed[last], lattice.packing.last)
    following = np.where(is_final, last, np.minimum(ends, len(tags) - 1))
    _, _, log_step = lattice.logs(packed[following])
    _, log_beta, _ = lattice.logs(packed[last])
    moves = transitions[tags[last]]
    # In BIO the tag after a label's B is its I; from any of a span's tags the only way on is what its last tag
    # shares with its own B and not with O.
    goes_on = (moves > -np.inf) & (transitions[0][None] == -np.inf)
    rest = log_sum(xp.where(goes_on, -np.inf, moves + log_step), axis=1)
    return xp.where(xp.asarray(is_final), log_beta[np.arange(len(last)), tags[last]], rest)
