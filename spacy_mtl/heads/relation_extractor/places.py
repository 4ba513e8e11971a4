"""Where entities and their contexts are in a batch."""

from dataclasses import dataclass

import numpy as np

from ...layers.ragged_rows import first_rows
from ...protocols.arrays import IntsT
from .candidate_pairs import Pairs, interleave

# tokens before the first and behind the second argument that count as context
WINDOW = 5
# upper bounds of the distances, in tokens, that share an embedding
DISTANCES = np.array([0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50])
# first rows and ends
RangesT = tuple[IntsT, IntsT]


@dataclass
class Places:
    """Where entities and contexts are in the batch, in rows of its tokens.

    starts, ends (IntsT): Of the entities, (n_entities,).
    doc_starts, doc_ends (IntsT): Of their docs, (n_entities,).
    """

    starts: IntsT
    ends: IntsT
    doc_starts: IntsT
    doc_ends: IntsT

    @classmethod
    def of(cls, pairs: Pairs) -> "Places":
        """Get the places of the entities."""
        docs = pairs.entities.docs
        begins = first_rows(pairs.lengths)[docs]
        return cls(begins + pairs.entities.starts, begins + pairs.entities.ends, begins, begins + pairs.lengths[docs])

    def between(self, first: IntsT, second: IntsT) -> RangesT:
        """The ranges between two entities, (n_pairs,)."""
        return self.ends[first], self.starts[second]

    def before(self, entities: IntsT) -> RangesT:
        """The contexts before entities, (n,)."""
        starts = self.starts[entities]
        return np.maximum(starts - WINDOW, self.doc_starts[entities]), starts

    def behind(self, entities: IntsT) -> RangesT:
        """The contexts behind entities, (n,)."""
        ends = self.ends[entities]
        return ends, np.minimum(ends + WINDOW, self.doc_ends[entities])

    def last(self, first: IntsT, second: IntsT) -> IntsT:
        """The entity that ends last: the second one, unless it is inside of the first, (n_pairs,)."""
        return np.where(self.ends[first] > self.ends[second], first, second)

    def contexts(self, first: IntsT, second: IntsT) -> list[RangesT]:
        """The ranges between two entities, before the first and behind the last of them, (n_pairs,) each."""
        return [self.between(first, second), self.before(first), self.behind(self.last(first, second))]

    def distances(self, first: IntsT, second: IntsT) -> IntsT:
        """The rows of the distances in both directions, (2 * n_pairs,)."""
        gaps = np.maximum(self.starts[second] - self.ends[first], 0)
        buckets = np.searchsorted(DISTANCES, gaps)
        return interleave(buckets, buckets + len(DISTANCES) + 1)
