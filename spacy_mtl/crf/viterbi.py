"""The best tag sequences of a batch (Viterbi 1967), exactly, without trying every pair of tags.

Two things make a step cheap. Tags with few possible predecessors (in BIO, an I has two) are looked up one by one. For
the other tags, most predecessors can be ruled out: let `best` be the predecessor with the highest score. A predecessor
whose score is lower by more than the slack of `best` cannot win for any tag. The slack is the most by which a
transition from `best` falls short of the best transition into the same tag. Trained models leave a few predecessors for
each token. For a few short texts it is faster to try every pair.
"""

from collections.abc import Callable, Sequence
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
# the best scores of sequences that end in each tag, (n, n_tags), and the best of these tags, (n,) -> the best scores
# with which each next tag can be reached, (n, n_tags)
ArriveT = Callable[[Floats32T, IntsT], Floats32T]


@dataclass
class Transitions:
    """Transition scores, ordered for a step. Tags with at most `FEW` possible predecessors are narrow, the others wide.

    scores (Floats2d): Scores from row to column, (n_tags, n_tags).
    slack (Floats1d): How far the score of another predecessor may lie below that of this one, if this one is the best,
        and still win for a wide tag, (n_tags,).
    narrow (slice | Ints1d): The narrow tags.
    into_narrow (Sequence[tuple[slice | Ints1d, Floats1d]]): A possible predecessor of each narrow tag, and the score of
        the transition from it, (n_narrow,) each; then another predecessor of each, and so on.
    """

    scores: Floats32T
    slack: Floats32T
    narrow: slice | IntsT
    into_narrow: Sequence[tuple[slice | IntsT, Floats32T]]


def order_transitions(transitions: Floats32T) -> Transitions:
    """Split the tags by their number of possible predecessors.

    transitions (Floats2d): Scores from row to column, minus infinity where a tag cannot follow, (n_tags, n_tags).

    With transitions of 1, 2 and 3 from each of three tags to itself and 0 elsewhere, the slack is [3, 3, 2]: after
    scores of [0, -1, -5] tag 0 is the best, and only tags with at least 0 - 3 can win. Tag 2 is ruled out, and the best
    scores arriving at each tag are [max(0 + 1, -1 + 0), max(0 + 0, -1 + 2), max(0 + 0, -1 + 0)] = [1, 1, 0].
    """
    n_before = np.isfinite(transitions).sum(axis=0)
    wide, narrow = np.flatnonzero(n_before > FEW), np.flatnonzero(n_before <= FEW)
    into_wide, into_narrow = transitions[:, wide], transitions[:, narrow]
    peak = into_wide.max(axis=0, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        slack = np.nan_to_num(peak - into_wide, nan=np.inf, posinf=np.inf).max(axis=1, initial=0.0)
    before = np.sort(np.argsort(-into_narrow, axis=0, kind="stable")[:FEW], axis=0)
    scores = np.take_along_axis(into_narrow, before, axis=0)
    pairs = list(zip(map(as_slice, before), scores, strict=True)) if len(narrow) else []
    return Transitions(np.ascontiguousarray(transitions), slack, as_slice(narrow), pairs)


def as_slice(columns: IntsT) -> slice | IntsT:
    """Write columns with equal distances, such as [1, 3, 5], as a slice, for which numpy copies nothing."""
    steps = np.diff(columns)
    if len(steps) and steps[0] > 0 and (steps == steps[0]).all():
        return slice(int(columns[0]), int(columns[-1]) + 1, int(steps[0]))
    return columns


def viterbi(scores: CRFScores) -> IntsT:
    """Find the best tag sequence of each doc, on the CPU.

    scores (CRFScores): Constrained potentials.
    RETURNS (Ints1d): The tags of all docs, end to end, (n_tokens,).
    """
    emissions, transitions, starts, ends = (to_numpy(part) for part in scores.potentials)
    packing = pack(to_numpy(scores.lengths))
    best = emissions[packing.rows]
    arrive = _find_arrive(len(packing.order), transitions)
    rows = np.arange(len(packing.order))
    before = top = best[:0]
    stop = 0
    for size in packing.sizes.tolist():
        here = best[stop : stop + size]
        here += arrive(before[:size], top[:size]) if stop else starts
        top = here.argmax(axis=1)
        # Only differences between tags matter. Sums over a long doc would leave them no digits in float32.
        here -= here[rows[:size], top][:, None]
        before, stop = here, stop + size
    last_tags = (best[packing.last] + ends).argmax(axis=1)
    return follow_back(packing, best, transitions, last_tags)


def _find_arrive(n_sequences: int, transitions: Floats32T) -> ArriveT:
    """Choose the function for a step. It gets the scores less the maximum of the row."""
    if n_sequences * transitions.size <= FEW_PAIRS:
        return partial(_arrive_from_all, transitions=np.ascontiguousarray(transitions)[:, :, None])
    return partial(_arrive_from_some, transitions=order_transitions(transitions))


def _arrive_from_all(before: Floats32T, top: IntsT, transitions: Floats32T) -> Floats32T:
    # Sequences come last, so that numpy takes the maximum of many of them at once.
    by_tag = np.ascontiguousarray(before.T)[:, None]
    arriving: Floats32T = (by_tag + transitions).max(axis=0)
    return arriving.T


def _arrive_from_some(before: Floats32T, top: IntsT, transitions: Transitions) -> Floats32T:
    arriving = transitions.scores.take(top, axis=0)
    can_win = before >= -transitions.slack[top][:, None]
    can_win[np.arange(len(before)), top] = False
    others = np.flatnonzero(can_win)
    if len(others):
        _improve(arriving, before, others, transitions.scores)
    if transitions.into_narrow:
        ways = [before[:, tags] + scores for tags, scores in transitions.into_narrow]
        arriving[:, transitions.narrow] = ways[0] if len(ways) == 1 else np.maximum(*ways)
    return arriving


def _improve(arriving: Floats32T, before: Floats32T, others: IntsT, transitions: Floats32T) -> None:
    """Raise what arrives from the best tag of each sequence to what arrives from its other tags that can win.

    others (Ints1d): The places of these tags in the flat array of `before`, (n_others,).
    """
    rows, tags = np.divmod(others, before.shape[1])
    candidates = transitions[tags]
    candidates += before.ravel()[others][:, None]
    is_first = np.ones(len(rows), dtype=bool)
    np.not_equal(rows[1:], rows[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    found = np.maximum.reduceat(candidates, first, axis=0)
    improved = rows[first]
    arriving[improved] = np.maximum(arriving[improved], found)


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
