"""How likely a CRF holds exactly a span to be: the summed probability of all tag sequences that contain it."""

import numpy as np
from numpy.typing import NDArray
from thinc.util import get_array_module, to_numpy

from ..types import ArrayT
from .crf import CRFScores, Lattice, forward_backward

IntsT = NDArray[np.int64]


def span_probabilities(scores: CRFScores, tags: IntsT, starts: IntsT, ends: IntsT) -> NDArray[np.float64]:
    """Probabilities of decoded spans.

    scores (CRFScores): Constrained potentials. tags (n_tokens,): the decoded tags. starts, ends (n_spans,): rows of
    each span's first token and one past its last. RETURNS: (n_spans,), from 0 to 1.
    """
    if not len(starts):
        return np.zeros(0)
    lattice = forward_backward(scores)
    xp = get_array_module(lattice.alpha)
    packed = np.empty(len(tags), dtype=np.int64)
    packed[lattice.packing.rows] = np.arange(len(tags))
    before, after = tags[:-1], tags[1:]
    steps = xp.zeros(len(tags))
    steps[1:] = xp.log(lattice.moves[before, after] * lattice.scaled[packed[1:], after] + 1e-300)
    total = xp.cumsum(steps)
    inside = total[ends - 1] - total[starts]
    enter = xp.log(lattice.alpha[packed[starts], tags[starts]])
    return np.asarray(to_numpy(xp.exp(enter + inside) * _leave(lattice, packed, tags, ends)))


def _leave(lattice: Lattice, packed: IntsT, tags: IntsT, ends: IntsT) -> ArrayT:
    """Probability mass of the rest of the sequence, (n_spans,), given that the span doesn't go on."""
    xp = get_array_module(lattice.alpha)
    last = ends - 1
    is_final = np.isin(packed[last], lattice.packing.last)
    following = np.where(is_final, last, np.minimum(ends, len(tags) - 1))
    onward = lattice.moves[tags[last]] * lattice.step[packed[following]]
    # In BIO the tag after a label's B is its I; from any of a span's tags the only way on is what its last tag
    # shares with its own B and not with O.
    goes_on = (lattice.moves[tags[last]] > 0) & (lattice.moves[0][None] == 0)
    rest = xp.where(goes_on, 0.0, onward).sum(axis=1)
    return xp.where(xp.asarray(is_final), lattice.beta[packed[last], tags[last]], rest)
