"""The likeliest tag sequences of each doc, exactly: all that are likely enough, or the K best.

A backward pass finds the best score with which each tag can be continued. Prefixes are then extended token by token,
and a prefix stays if its best completion is likely enough, so that each one that stays leads to a sequence that is
listed. Of the prefixes of a doc no more than K stay. Each of the K best sequences has one of the K prefixes with the
best completions, since every prefix with a better one belongs to another, better sequence.
"""

from dataclasses import dataclass

import numpy as np
from thinc.util import to_numpy

from ..layers.ragged_rows import first_rows
from ..protocols.arrays import FloatsT, IntsT
from .linear_chain import CRFScores, pack
from .path_probability import log_partitions


@dataclass(frozen=True)
class LikelyPaths:
    """The likeliest tag sequences of a doc, best first.

    tags (IntsT): (n_paths, n_tokens).
    logs (FloatsT): Their log-probabilities, (n_paths,).
    """

    tags: IntsT
    logs: FloatsT


def likely_paths(scores: CRFScores, *, least: float, most: int) -> list[LikelyPaths]:
    """List the likeliest tag sequences of each doc.

    scores (CRFScores): Constrained potentials.
    least (float): Log-probability that a sequence has at least.
    most (int): Maximum number of sequences for each doc.
    RETURNS: A doc without tokens has one, empty sequence. A doc has none if even the best is not likely enough.
    """
    lengths: IntsT = to_numpy(scores.lengths)
    near = scores.with_potentials(to_numpy(part).astype("d") for part in scores.potentials)
    found = [_no_path(length, least) for length in lengths.tolist()]
    if not len(near.emissions):
        return found
    rest, log_partition = best_rest(near), log_partitions(near)
    floors, firsts = log_partition + least, first_rows(lengths)
    steps: list[tuple[IntsT, IntsT]] = []
    owners = np.flatnonzero(lengths)
    sums, before = np.zeros(len(owners)), near.starts[None].repeat(len(owners), axis=0)
    for step in range(int(lengths.max())):
        rows = firsts[owners] + step
        extended = sums[:, None] + before + near.emissions[rows]
        prefixes, tags = _best_of_each(owners, extended + rest[rows], floors[owners], most)
        owners, sums = owners[prefixes], extended[prefixes, tags]
        steps.append((prefixes, tags))
        is_last = lengths[owners] == step + 1
        ends = np.flatnonzero(is_last)
        if len(ends):
            table, logs = _follow_back(steps, ends), (sums + near.ends[tags] - log_partition[owners])[ends]
            for doc in np.unique(owners[ends]).tolist():
                own = owners[ends] == doc
                found[doc] = LikelyPaths(table[own], logs[own])
        steps[-1] = prefixes[~is_last], tags[~is_last]
        owners, sums, before = owners[~is_last], sums[~is_last], near.transitions[tags[~is_last]]
    return found


def _no_path(length: int, least: float) -> LikelyPaths:
    """The paths of a doc before any is found: none, or the empty one, with probability 1, of a doc without tokens."""
    n_paths = int(length == 0 and least <= 0.0)
    return LikelyPaths(np.zeros((n_paths, length), dtype="int64"), np.zeros(n_paths))


def best_rest(scores: CRFScores) -> FloatsT:
    """Compute the best score of all that may follow each tag of each token, (n_tokens, n_tags): of the rest of the
    sequence, and of its end.
    """
    packing = pack(to_numpy(scores.lengths))
    packed = np.empty_like(scores.emissions)
    packed[packing.last] = scores.ends
    emissions = scores.emissions[packing.rows]
    after, stop = slice(0, 0), len(packed)
    for size in packing.sizes[::-1].tolist():
        here = slice(stop - size, stop)
        n_after = after.stop - after.start
        if n_after:
            following = emissions[after] + packed[after]
            packed[here.start : here.start + n_after] = (scores.transitions + following[:, None]).max(axis=2)
        after, stop = here, here.start
    rest = np.empty_like(packed)
    rest[packing.rows] = packed
    return rest


def _best_of_each(owners: IntsT, promised: FloatsT, floors: FloatsT, most: int) -> tuple[IntsT, IntsT]:
    """Choose the extensions that are likely enough, at most so many for each doc.

    promised (FloatsT): The score of the best sequence with each extension, (n_prefixes, n_tags).
    floors (FloatsT): The score that it must have, (n_prefixes,).
    RETURNS: The prefix and the tag of each extension that is kept, in the order of the docs, best first.
    """
    rows, tags = np.nonzero((promised >= floors[:, None]) & (promised > -np.inf))
    order = np.lexsort((-promised[rows, tags], owners[rows]))
    rows, tags = rows[order], tags[order]
    docs = owners[rows]
    place = np.arange(len(docs)) - np.searchsorted(docs, docs)
    return rows[place < most], tags[place < most]


def _follow_back(steps: list[tuple[IntsT, IntsT]], places: IntsT) -> IntsT:
    """Read sequences from their last tag to the first, (n_paths, n_tokens).

    steps (list): For each token the index of the prefix that is extended, and the tag.
    places (IntsT): The indices of the sequences at the last token, (n_paths,).
    """
    columns = []
    for prefixes, tags in reversed(steps):
        columns.append(tags[places])
        places = prefixes[places]
    return np.stack(columns[::-1], axis=1)
