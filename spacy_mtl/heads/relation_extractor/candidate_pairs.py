"""The pairs of entities that may be related, of a whole batch at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...layers.ragged_rows import bounds, first_rows, row_owners
from ...protocols.arrays import BoolsT, FloatsT, IntsT
from ...protocols.found_annotation import FoundSpans


@dataclass
class Pairs:
    """Pairs of entities of the same doc. Each pair stands once, in the order of the text, and has two rows of scores:
    row 2k for first -> second, row 2k + 1 for second -> first.

    entities (FoundSpans): Ordered by doc, first token and end.
    types (IntsT): The entities' rows in the head's table of types, (n_entities,); 0 for a type that it does not know.
    first, second (IntsT): Indices of the two entities, (n_pairs,).
    lengths (IntsT): Number of tokens of each doc, (n_docs,).
    left_out (IntsT): Number of pairs that each doc has beyond `max_pairs`, (n_docs,).
    prior (FloatsT | None): For candidates among which one is chosen for each place, how much likelier each type is than
        the one that was found, in nats, (n_entities,); None if each entity has one type.
    possible (BoolsT | None): Rows that their types leave a label for, (2 * n_pairs,). Others are not scored in
        prediction. None for all.

    Entities 0 and 1 in doc 0, 2, 3 and 4 in doc 1: first [0, 2, 2, 3], second [1, 3, 4, 4];
    heads [0, 1, 2, 3, 2, 4, 3, 4], tails [1, 0, 3, 2, 4, 2, 4, 3].
    """

    entities: FoundSpans
    types: IntsT
    first: IntsT
    second: IntsT
    lengths: IntsT
    left_out: IntsT
    prior: FloatsT | None = None
    possible: BoolsT | None = None

    @property
    def heads(self) -> IntsT:
        """The entity that is the head in each row, (2 * n_pairs,)."""
        return interleave(self.first, self.second)

    @property
    def tails(self) -> IntsT:
        """The entity that is the tail in each row, (2 * n_pairs,)."""
        return interleave(self.second, self.first)

    def only(self, kept: BoolsT) -> "Pairs":
        """Keep some of the pairs. kept: (n_pairs,)."""
        possible = None if self.possible is None else self.possible[np.repeat(kept, 2)]
        return replace(self, first=self.first[kept], second=self.second[kept], possible=possible)

    def block(self, start: int, size: int) -> "Pairs":
        """Some pairs that follow one another, with no entities but those from their first one to their last one."""
        if start == 0 and len(self.first) <= size:
            return self
        first, second = self.first[start : start + size], self.second[start : start + size]
        own = slice(int(first[0]), int(second.max()) + 1)
        spans = self.entities
        return replace(
            self,
            entities=FoundSpans(spans.docs[own], spans.starts[own], spans.ends[own], spans.labels[own], spans.names),
            types=self.types[own],
            first=first - own.start,
            second=second - own.start,
            possible=None if self.possible is None else self.possible[2 * start : 2 * (start + size)],
        )


def interleave(even: IntsT, odd: IntsT) -> IntsT:
    """Put two arrays (n,) into one, (2 n,): [a, b], [c, d] -> [a, c, b, d]."""
    return np.stack([even, odd], axis=1).reshape(-1)


def find_pairs(
    entities: FoundSpans,
    lengths: Sequence[int],
    types: Sequence[str] = (),
    *,
    max_distance: int | None = None,
    max_pairs: int,
) -> Pairs:
    """Pair the entities of each doc. Two entities at the same place make no pair.

    entities (FoundSpans): In any order.
    lengths (Sequence[int]): Number of tokens of each doc.
    types (Sequence[str]): The types that the head knows, without that for all others.
    max_distance (int | None): Maximum number of tokens between the two; None for any.
    max_pairs (int): Maximum number of pairs of a doc, at least 1. Entities with the fewest others between them come
        first.
    """
    entities = in_order(entities)
    sizes = np.bincount(entities.docs, minlength=len(lengths))
    reach = _last_partners(entities, bounds(sizes), lengths, max_distance) - np.arange(len(entities.docs)) - 1
    counts, left_out = _limit(reach, bounds(sizes), max_pairs)
    first = row_owners(counts)
    second = first + 1 + np.arange(len(first)) - first_rows(counts)[first]
    rows = {name: row for row, name in enumerate(types, start=1)}
    known = np.array([rows.get(name, 0) for name in entities.names], dtype="int64")[entities.labels]
    pairs = Pairs(entities, known, first, second, np.asarray(lengths, dtype="int64"), left_out)
    same = (entities.starts[first] == entities.starts[second]) & (entities.ends[first] == entities.ends[second])
    return pairs.only(~same) if same.any() else pairs


def in_order(entities: FoundSpans) -> FoundSpans:
    """Order entities by doc, first token and end."""
    order = np.lexsort((entities.ends, entities.starts, entities.docs))
    docs, starts, ends, labels = entities.docs, entities.starts, entities.ends, entities.labels
    return FoundSpans(docs[order], starts[order], ends[order], labels[order], entities.names)


def _last_partners(entities: FoundSpans, ends: IntsT, lengths: Sequence[int], max_distance: int | None) -> IntsT:
    """The index after the last entity that each one may be paired with, (n_entities,). Those in between are near enough
    too, since entities are ordered by their first token.
    """
    last: IntsT = ends[entities.docs + 1]
    if max_distance is None:
        return last
    size = max(lengths, default=0) + 1
    places = entities.docs * size + entities.starts
    limits = entities.docs * size + np.minimum(entities.ends + max_distance, size - 1)
    return np.minimum(np.searchsorted(places, limits, side="right"), last)


def _limit(reach: IntsT, ends: IntsT, max_pairs: int) -> tuple[IntsT, IntsT]:
    """Shorten the reach of the entities in docs that have too many pairs.

    reach (IntsT): Number of later entities that each entity may be paired with, (n_entities,).
    RETURNS: The shortened reach, and the number of pairs that each doc lost.
    """
    counts = reach.copy()
    owners = row_owners(np.diff(ends))
    totals = np.bincount(owners, weights=reach, minlength=len(ends) - 1).astype("int64")
    for doc in np.flatnonzero(totals > max_pairs).tolist():
        own = counts[ends[doc] : ends[doc + 1]]
        # one more step at a time: how many entities reach at least so far
        steps = np.bincount(own)[::-1].cumsum()[::-1][1:].cumsum()
        window = int(np.searchsorted(steps, max_pairs, side="right"))
        rest = np.flatnonzero(own > window)[: max_pairs - (int(steps[window - 1]) if window else 0)]
        np.minimum(own, window, out=own)
        own[rest] += 1
    return counts, totals - np.bincount(owners, weights=counts, minlength=len(ends) - 1).astype("int64")
