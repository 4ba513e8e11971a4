"""The best tag sequences of a batch, exactly, without trying every pair of tags (Viterbi 1967).

Two things make a step cheap. Tags that few others can precede (in BIO an I has two) are looked up one by one. For the
others, a tag before can only win if its score is near the best one's: not further below it than the transitions from
the best tag can be worse than the best transitions. Trained models leave a few such tags a token. For a few short
texts, trying every pair takes less time than to find out what can be left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from thinc.util import to_numpy

from ..protocols.arrays import IntsT
from .linear_chain import CRFScores, Packing, pack

Floats32T = NDArray[np.float32]
FEW = 2
# sequences times pairs of tags, up to which every pair is tried
FEW_PAIRS = 2**15


@dataclass
class Transitions:
    """Transition scores, ordered for a step.

    wide (n_wide,): tags that many others can precede; into_wide (n_tags, n_wide): scores into them.
    slack (n_tags,): how far below this tag, if it is the best, another tag's score may be and still win.
    narrow (n_narrow,): the other tags; before_narrow, into_narrow (FEW, n_narrow): the tags before them, the scores.
    """

    wide: IntsT
    into_wide: Floats32T
    slack: Floats32T
    narrow: IntsT
    before_narrow: IntsT
    into_narrow: Floats32T


def order_transitions(transitions: Floats32T) -> Transitions:
    """transitions (n_tags, n_tags), minus infinity where a tag can't follow."""
    n_before = np.isfinite(transitions).sum(axis=0)
    wide, narrow = np.flatnonzero(n_before > FEW), np.flatnonzero(n_before <= FEW)
    into_wide = np.ascontiguousarray(transitions[:, wide])
    peak = into_wide.max(axis=0, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        slack = np.nan_to_num(peak - into_wide, nan=np.inf, posinf=np.inf).max(axis=1, initial=0.0)
    before_narrow = np.argsort(-transitions[:, narrow], axis=0, kind="stable")[:FEW]
    into_narrow = np.take_along_axis(transitions[:, narrow], before_narrow, axis=0)
    return Transitions(wide, into_wide, slack, narrow, before_narrow, into_narrow)


def viterbi(scores: CRFScores) -> IntsT:
    """The tags (n_tokens,) of the best sequence of each doc. scores: constrained potentials. Runs on the CPU."""
    emissions, transitions, starts, ends = (to_numpy(part) for part in scores.potentials)
    packing = pack(to_numpy(scores.lengths))
    best = emissions[packing.rows]
    arrive = _find_arrive(len(packing.order), transitions)
    here = slice(0, 0)
    for index, size in enumerate(packing.sizes.tolist()):
        before, here = slice(here.start, here.start + size), slice(here.stop, here.stop + size)
        if index:
            best[here] += arrive(best[before])
        else:
            best[here] += starts
        # Which tag is best depends on differences alone. Sums over a long doc would leave no digits for them.
        best[here] -= best[here].max(axis=1, keepdims=True)
    last_tags = (best[packing.last] + ends).argmax(axis=1)
    return follow_back(packing, best, transitions, last_tags)


def _find_arrive(n_sequences: int, transitions: Floats32T) -> Callable[[Floats32T], Floats32T]:
    """The function from the scores of sequences that end in each tag, (n, n_tags), to those with which they can reach
    each next one, (n, n_tags).
    """
    if n_sequences * transitions.size <= FEW_PAIRS:
        return partial(_arrive_from_all, into=np.ascontiguousarray(transitions.T))
    return partial(_arrive_from_some, transitions=order_transitions(transitions))


def _arrive_from_all(before: Floats32T, into: Floats32T) -> Floats32T:
    arriving: Floats32T = (before[:, None] + into).max(axis=2)
    return arriving


def _arrive_from_some(before: Floats32T, transitions: Transitions) -> Floats32T:
    arriving = np.empty_like(before)
    top = before.argmax(axis=1)
    floor = before[np.arange(len(before)), top] - transitions.slack[top]
    rows, tags = np.nonzero(before >= floor[:, None])
    candidates = transitions.into_wide[tags]
    candidates += before[rows, tags][:, None]
    first = np.searchsorted(rows, np.arange(len(before)))
    arriving[:, transitions.wide] = np.maximum.reduceat(candidates, first, axis=0)
    if len(transitions.narrow):
        found = before[:, transitions.before_narrow] + transitions.into_narrow
        arriving[:, transitions.narrow] = found.max(axis=1)
    return arriving


def follow_back(packing: Packing, best: Floats32T, transitions: Floats32T, last_tags: IntsT) -> IntsT:
    """Find each tag from the one after it.

    best (n_tokens, n_tags): score of the best sequence up to each packed row and tag, less the row's maximum.
    last_tags (n_docs running,).
    RETURNS: tags (n_tokens,), in the original order.
    """
    packed = np.empty(len(best), dtype=np.int64)
    packed[packing.last] = last_tags
    into = np.ascontiguousarray(transitions.T)
    after, stop = slice(0, 0), len(best)
    for size in packing.sizes[::-1].tolist():
        here = slice(stop - size, stop)
        going_on = slice(here.start, here.start + after.stop - after.start)
        packed[going_on] = (best[going_on] + into[packed[after]]).argmax(axis=1)
        after, stop = here, here.start
    tags = np.empty_like(packed)
    tags[packing.rows] = packed
    return tags
