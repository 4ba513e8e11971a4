"""The best tag sequences of a batch (Viterbi 1967), exactly, without trying every pair of tags.

Two things make a step cheap. Tags with few possible predecessors (in BIO, an I has two) are looked up one by one. For
the other tags, most predecessors can be ruled out: let `best` be the predecessor with the highest score. A predecessor
whose score is lower by more than the slack of `best` cannot win for any tag. The slack is the most by which a
transition from `best` falls short of the best transition into the same tag. Trained models leave a few predecessors for
each token. For a few short texts it is faster to try every pair.
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
# number of sequences times pairs of tags up to which every pair is tried
FEW_PAIRS = 2**15


@dataclass
class Transitions:
    """Transition scores, ordered for a step.

    wide (Ints1d): Tags with more than `FEW` possible predecessors, (n_wide,).
    into_wide (Floats2d): Scores of the transitions into these, (n_tags, n_wide).
    slack (Floats1d): How far the score of another predecessor may lie below that of this one, if this one is the best,
        and still win, (n_tags,).
    narrow (Ints1d): The other tags, (n_narrow,).
    before_narrow (Ints2d): The predecessors of these, (FEW, n_narrow).
    into_narrow (Floats2d): Scores of the transitions from these predecessors, (FEW, n_narrow).
    """

    wide: IntsT
    into_wide: Floats32T
    slack: Floats32T
    narrow: IntsT
    before_narrow: IntsT
    into_narrow: Floats32T


def order_transitions(transitions: Floats32T) -> Transitions:
    """Split the tags by their number of possible predecessors.

    transitions (Floats2d): Scores from row to column, minus infinity where a tag cannot follow, (n_tags, n_tags).

    With transitions of 1, 2 and 3 from each of three tags to itself and 0 elsewhere, the slack is [3, 3, 2]: after
    scores of [0, -1, -5] tag 0 is the best, and only tags with at least 0 - 3 can win. Tag 2 is ruled out, and the best
    scores arriving at each tag are [max(0 + 1, -1 + 0), max(0 + 0, -1 + 2), max(0 + 0, -1 + 0)] = [1, 1, 0].
    """
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
    """Find the best tag sequence of each doc, on the CPU.

    scores (CRFScores): Constrained potentials.
    RETURNS (Ints1d): The tags of all docs, end to end, (n_tokens,).
    """
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
        # Only differences between tags matter. Sums over a long doc would leave them no digits in float32.
        best[here] -= best[here].max(axis=1, keepdims=True)
    last_tags = (best[packing.last] + ends).argmax(axis=1)
    return follow_back(packing, best, transitions, last_tags)


def _find_arrive(n_sequences: int, transitions: Floats32T) -> Callable[[Floats32T], Floats32T]:
    """Choose the function for a step.

    RETURNS (Callable): Takes the best scores of sequences that end in each tag, (n, n_tags), and returns the best
        scores with which each next tag can be reached, (n, n_tags).
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
    """Find the tags from the last token to the first, each from the one after it.

    packing (Packing): The order of the rows.
    best (Floats2d): Score of the best sequence up to each packed row and tag, less the maximum of the row,
        (n_tokens, n_tags).
    transitions (Floats2d): Constrained transitions, (n_tags, n_tags).
    last_tags (Ints1d): The tag of the last token of each sequence, (n_running,).
    RETURNS (Ints1d): The tags in the original order, (n_tokens,).
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
