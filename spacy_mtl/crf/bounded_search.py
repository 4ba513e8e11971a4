"""The best tags of a doc after the costs of its entities, by branch and bound.

Viterbi leaves the best score with which a doc up to each token can end in each tag. Read from the last token to the
first, these scores tell exactly how many nats are lost by another tag than the best one before the tags chosen so far.
The sum of such losses and of the costs of the entities is the regret of the tags. It only grows from token to token, so
tags are dropped as soon as they have more regret than an answer that is known already. A trained model leaves few.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..layers.ragged_rows import first_rows
from ..protocols.arrays import ArrayT, FloatsT, IntsT
from .linear_chain import CRFScores
from .seen_types import Costs
from .tag_scheme import TagScheme

# number of beginnings, at a token, that are kept for each search
WIDTH = 8
# nats by which regrets may differ with the order of sums
ROUNDING = 1e-6


class SearchResult(NamedTuple):
    """What the searches found.

    regrets (Floats1d): The least regret of any tags, in nats, infinite if none were found, (n_searches,).
    bounds (Floats1d): No other tags have less regret than this, (n_searches,). If it is not less than `regrets`, the
        result is exact.
    tags (Ints1d): The tags with that regret, end to end, (n_tokens of all searches,).
    """

    regrets: FloatsT
    bounds: FloatsT
    tags: IntsT


class Paths(NamedTuple):
    """The last tags of docs, from a token on.

    search (Ints1d): The search that a path belongs to, sorted, (n_paths,).
    tag (Ints1d): The tag of the token, (n_paths,).
    row (Ints1d): The row of the token, (n_paths,).
    regret (Floats1d): The regret of all tags from the token on, (n_paths,).
    due (Floats2d): What an entity of each type costs before the token, and 0 in the last column,
        (n_paths, n_labels + 1).
    """

    search: IntsT
    tag: IntsT
    row: IntsT
    regret: FloatsT
    due: FloatsT

    def select(self, paths: IntsT) -> "Paths":
        """Select paths, of which one may occur several times."""
        return Paths(
            self.search.take(paths),
            self.tag.take(paths),
            self.row.take(paths),
            self.regret.take(paths),
            self.due.take(paths, axis=0),
        )


@dataclass(frozen=True)
class Searches:
    """What all searches need.

    best (Floats2d): The best score of each doc up to a token and tag, less a constant for each token,
        (n_tokens, n_tags).
    into (Floats2d): Score of the step from the column's tag to the row's, (n_tags, n_tags).
    column (Ints1d): The column of `Paths.due` of the entity that each tag begins, (n_tags,).
    pairs (Floats3d): What an entity of each type adds to `Paths.due`, in each search,
        (n_searches, n_labels + 1, n_labels + 1).
    firsts (Ints1d): The row of each doc's first token, (n_searches,).
    limits (Floats1d): The regret that tags may have at most, (n_searches,).
    width (int): Number of paths of a search that are kept at a token.
    """

    best: ArrayT
    into: ArrayT
    column: IntsT
    pairs: FloatsT
    firsts: IntsT
    limits: FloatsT
    width: int

    def extend(self, paths: Paths, arriving: ArrayT, bounds: FloatsT) -> tuple[Paths, IntsT]:
        """Extend paths by the token before, and keep those with least regret.

        arriving (Floats2d): The best score of the doc up to each tag of that token, and of the step from it to the
            path's, (n_paths, n_tags).
        bounds (Floats1d): Lowered to the least regret of paths that are dropped for want of room, (n_searches,).
        RETURNS: The longer paths, and for each the index of the one that it extends.
        """
        top = arriving.max(axis=1)
        room = self.limits.take(paths.search) - paths.regret + ROUNDING
        # The costs only matter for tags that lose little, which are few.
        places = np.flatnonzero(arriving >= (top - room).astype(arriving.dtype)[:, None])
        before, tags = np.divmod(places, len(self.column))
        regrets = paths.regret.take(before) + paths.due[before, self.column.take(tags)]
        regrets += top.take(before) - arriving.reshape(-1).take(places)
        possible = np.flatnonzero(regrets <= self.limits.take(paths.search.take(before)) + ROUNDING)
        before, tags, regrets = before.take(possible), tags.take(possible), regrets.take(possible)
        kept = _least(paths.search.take(before), regrets, bounds, self.width)
        before, tags, regrets = before.take(kept), tags.take(kept), regrets.take(kept)
        old = paths.select(before)
        due = old.due + self.pairs[old.search, self.column.take(tags)]
        return Paths(old.search, tags, old.row - 1, regrets, due), before


def search_tags(
    scores: CRFScores,
    best: ArrayT,
    scheme: TagScheme,
    costs: Costs,
    *,
    docs: IntsT,
    classes: IntsT,
    limits: FloatsT,
    width: int = WIDTH,
) -> SearchResult:
    """Find the tags of docs with the least regret. A doc may be searched several times, in several classes.

    scores (CRFScores): Constrained potentials in main memory.
    best (Floats2d): The best score of each doc up to a token and tag, less a constant for each token,
        (n_tokens, n_tags).
    costs (Costs): Costs in nats.
    docs (Ints1d): The doc of each search, not empty, (n_searches,).
    classes (Ints1d): The class whose costs count, (n_searches,).
    limits (Floats1d): The regret that tags may have at most, (n_searches,).
    width (int): Number of paths of a search that are kept at a token.

    A doc of one token, with B-artist 2 nats above O, where an artist costs 3: B-artist has a regret of 3, O one of 2.
    """
    lengths, firsts = scores.lengths[docs], first_rows(scores.lengths)[docs]
    # A tag that begins no entity has the last column of `due`, which is 0.
    column = np.where(scheme.begins, scheme.label, scheme.n_labels)
    types, pairs = np.pad(costs.types, ((0, 0), (0, 1))), np.pad(costs.pairs, ((0, 0), (0, 1), (0, 1)))
    into = np.ascontiguousarray(scores.transitions.T)
    searches = Searches(best, into, column, pairs[classes], firsts, limits, width)
    none = np.zeros(len(docs), dtype=np.int64)
    paths = Paths(np.arange(len(docs)), none, firsts + lengths, np.zeros(len(docs)), types[classes])
    regrets, bounds, ends = np.full(len(docs), np.inf), np.full(len(docs), np.inf), none.copy()
    arriving = best.take(paths.row - 1, axis=0) + scores.ends
    steps: list[tuple[IntsT, IntsT]] = []
    going_on = paths.search
    while len(going_on):
        paths, before = searches.extend(paths, arriving, bounds)
        steps.append((going_on.take(before), paths.tag))
        is_complete = paths.row == firsts.take(paths.search)
        complete, going_on = np.flatnonzero(is_complete), np.flatnonzero(~is_complete)
        if len(complete):
            # All paths of a search are complete at the same time.
            first = complete[_first_least(paths.search[complete], paths.regret[complete])]
            regrets[paths.search[first]], ends[paths.search[first]] = paths.regret[first], first
            paths = paths.select(going_on)
        arriving = best.take(paths.row - 1, axis=0) + into.take(paths.tag, axis=0)
    return SearchResult(regrets, bounds, _follow(steps, ends, np.where(np.isfinite(regrets), lengths, 0), lengths))


def _least(search: IntsT, regrets: FloatsT, bounds: FloatsT, width: int) -> IntsT:
    """Return the indices of the `width` paths of each search with least regret, in the order of the searches, and lower
    `bounds` to the least regret of the others.
    """
    counts = np.bincount(search, minlength=1)
    if counts.max() <= width:
        return np.arange(len(search))
    order = np.lexsort((regrets, search))
    rank = np.arange(len(order)) - first_rows(counts).take(search)
    dropped = order[rank == width]
    bounds[search[dropped]] = np.minimum(bounds[search[dropped]], regrets[dropped])
    return order[rank < width]


def _first_least(search: IntsT, regrets: FloatsT) -> IntsT:
    """Return the index of the path of each search with the least regret."""
    order = np.lexsort((regrets, search))
    return order[np.flatnonzero(np.diff(search[order], prepend=-1))]


def _follow(steps: list[tuple[IntsT, IntsT]], ends: IntsT, found: IntsT, lengths: IntsT) -> IntsT:
    """Read the tags of complete paths from the first token to the last.

    steps (list): From the last token on, for each path the index of the one that it extends, and the tag.
    ends (Ints1d): The complete path of each search, (n_searches,).
    found (Ints1d): Number of tags to read, 0 without such a path, (n_searches,).
    lengths (Ints1d): Number of tokens of each search's doc, (n_searches,).
    RETURNS (Ints1d): The tags, end to end, 0 without a path, (n_tokens of all searches,).
    """
    tags, lasts, paths = np.zeros(int(lengths.sum()), dtype=np.int64), np.cumsum(lengths) - 1, ends.copy()
    for step in reversed(range(len(steps))):
        running = np.flatnonzero(found > step)
        here = paths[running]
        before, of_paths = steps[step]
        tags[lasts[running] - step] = of_paths[here]
        paths[running] = before[here]
    return tags
