"""The best tag sequences of a batch (Viterbi 1967), exactly, without trying every pair of tags.

Two things make a step cheap. Tags with few possible predecessors (in BIO, an I has two) are looked up one by one. For
the other tags, most predecessors can be ruled out: let `best` be the predecessor with the highest score. A predecessor
whose score is lower by more than the slack of `best` cannot win for any tag. The slack is the most by which a
transition from `best` falls short of the best transition into the same tag. Trained models leave a few predecessors for
each token. For a few short texts it is faster to try every pair.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from thinc.util import to_numpy

from ..protocols.arrays import IntsT
from .linear_chain import CRFScores, Packing, pack

Floats32T = NDArray[np.float32]
FEW = 2
# number of sequences times pairs of tags up to which every pair is tried
FEW_PAIRS = 2**14
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
    possible = np.isfinite(transitions)
    wide, narrow, before = _split_tags(possible.tobytes(), len(transitions))
    into_wide = transitions[:, wide]
    peak = into_wide.max(axis=0, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        slack = np.where(possible[:, wide], peak - into_wide, np.inf).max(axis=1, initial=0.0)
    pairs = [(as_slice(tags), transitions[tags, narrow]) for tags in before]
    return Transitions(np.ascontiguousarray(transitions), slack, as_slice(narrow), pairs)


@lru_cache(maxsize=32)
def _split_tags(possible: bytes, n_tags: int) -> tuple[IntsT, IntsT, list[IntsT]]:
    """Find the wide and the narrow tags, and for each narrow one its `FEW` predecessors. They depend on the scheme of
    the tags alone, so they are found once.

    possible (bytes): Whether the column's tag may follow the row's, the bytes of an array (n_tags, n_tags).
    """
    can_follow = np.frombuffer(possible, dtype=bool).reshape(n_tags, n_tags)
    n_before = can_follow.sum(axis=0)
    narrow = np.flatnonzero(n_before <= FEW)
    before = np.sort(np.argsort(~can_follow[:, narrow], axis=0, kind="stable")[:FEW], axis=0)
    return np.flatnonzero(n_before > FEW), narrow, list(before) if len(narrow) else []


def as_slice(columns: IntsT) -> slice | IntsT:
    """Write columns with equal distances, such as [1, 3, 5], as a slice, for which numpy copies nothing."""
    steps = np.diff(columns)
    if len(steps) and steps[0] > 0 and (steps == steps[0]).all():
        return slice(int(columns[0]), int(columns[-1]) + 1, int(steps[0]))
    return columns


@dataclass
class Lattice:
    """What Viterbi finds on its way to the last tokens.

    scores (CRFScores): The constrained potentials in main memory.
    packing (Packing): The order of the rows.
    packed (Floats2d): Score of the best sequence up to each packed row and tag, less the maximum of the row,
        (n_tokens, n_tags).
    """

    scores: CRFScores
    packing: Packing
    packed: Floats32T

    def best(self, rows: IntsT) -> Floats32T:
        """Return the scores in the original order, for some rows, (n_rows, n_tags)."""
        places = np.empty_like(self.packing.rows)
        places[self.packing.rows] = np.arange(len(places))
        return self.packed.take(places.take(rows), axis=0)

    def tags(self) -> IntsT:
        """Return the tags of the best sequence of each doc, end to end, (n_tokens,)."""
        last_tags = (self.packed[self.packing.last] + self.scores.ends).argmax(axis=1)
        return follow_back(self.packing, self.packed, self.scores.transitions, last_tags)


def viterbi(scores: CRFScores) -> IntsT:
    """Find the best tag sequence of each doc, on the CPU.

    scores (CRFScores): Constrained potentials.
    RETURNS (Ints1d): The tags of all docs, end to end, (n_tokens,).
    """
    return make_lattice(scores).tags()


def make_lattice(scores: CRFScores) -> Lattice:
    """Find the best score up to each token and tag, on the CPU.

    scores (CRFScores): Constrained potentials.
    """
    near = scores.with_potentials(map(to_numpy, scores.potentials))
    near.lengths = to_numpy(scores.lengths)
    packing = pack(near.lengths)
    best = near.emissions[packing.rows]
    arrive = _find_arrive(len(packing.order), near.transitions)
    row_starts = np.arange(len(packing.order)) * best.shape[1]
    before = top = best[:0]
    stop = 0
    for size in packing.sizes.tolist():
        here = best[stop : stop + size]
        here += arrive(before[:size], top[:size]) if stop else near.starts
        top = here.argmax(axis=1)
        # Only differences between tags matter. Sums over a long doc would leave them no digits in float32.
        here -= here.reshape(-1).take(row_starts[:size] + top)[:, None]
        before, stop = here, stop + size
    return Lattice(near, packing, best)


def _find_arrive(n_sequences: int, transitions: Floats32T) -> ArriveT:
    """Choose the function for a step. It gets the scores less the maximum of the row."""
    all_pairs = partial(_arrive_from_all, transitions=np.ascontiguousarray(transitions))
    if n_sequences * transitions.size <= FEW_PAIRS:
        return all_pairs
    some_pairs = partial(_arrive_from_some, transitions=order_transitions(transitions))
    few = FEW_PAIRS // len(transitions)
    # Only the longest sequences are left at the end.
    return lambda before, top: (all_pairs if before.size <= few else some_pairs)(before, top)


def _arrive_from_all(before: Floats32T, top: IntsT, transitions: Floats32T) -> Floats32T:
    # numpy takes a maximum quickly if the last axis is long.
    arriving: Floats32T
    if 2 * len(before) < len(transitions):
        arriving = (before[:, :, None] + transitions).max(axis=1)
        return arriving
    by_tag = np.ascontiguousarray(before.T)[:, None]
    arriving = (by_tag + transitions[:, :, None]).max(axis=0)
    return arriving.T


def _arrive_from_some(before: Floats32T, top: IntsT, transitions: Transitions) -> Floats32T:
    arriving = transitions.scores.take(top, axis=0)
    can_win = before >= -transitions.slack.take(top)[:, None]
    can_win.reshape(-1)[np.arange(0, before.size, before.shape[1]) + top] = False
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
    candidates = transitions.take(tags, axis=0)
    candidates += before.reshape(-1).take(others)[:, None]
    is_first = np.ones(len(rows), dtype=bool)
    np.not_equal(rows[1:], rows[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    if len(first) < len(rows):
        candidates = np.maximum.reduceat(candidates, first, axis=0)
    improved = rows.take(first)
    arriving[improved] = np.maximum(arriving.take(improved, axis=0), candidates)


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
