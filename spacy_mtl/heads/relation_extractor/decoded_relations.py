"""The relations decoded from a batch, and how they are written to docs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from spacy.tokens import Doc, Span

from ...gold_relations import Argument, GoldRelation
from ...protocols.arrays import FloatsT, IntsT
from ...protocols.found_annotation import FoundSpans
from ...relation import set_group
from .candidate_pairs import interleave


@dataclass
class FoundRelations:
    """Decoded relations of a batch, in the order of the docs. Arrays (n_relations,).

    entities (FoundSpans): The entities that they are between.
    heads, tails (IntsT): Indices of the arguments.
    labels (IntsT): Index of the label in `names`.
    scores (FloatsT): Its probability.
    names (tuple[str, ...]): The labels.
    """

    entities: FoundSpans
    heads: IntsT
    tails: IntsT
    labels: IntsT
    scores: FloatsT
    names: tuple[str, ...]

    def as_tuples(self, n_docs: int) -> list[list[GoldRelation]]:
        """List the relations of each doc without reference to the doc."""
        found: list[list[GoldRelation]] = [[] for _ in range(n_docs)]
        entities = self.entities
        columns = (entities.starts.tolist(), entities.ends.tolist(), entities.labels.tolist())
        arguments = [Argument(start, end, entities.names[label]) for start, end, label in zip(*columns, strict=True)]
        owners = entities.docs[self.heads].tolist()
        rows = zip(owners, self.heads.tolist(), self.tails.tolist(), self.labels.tolist(), strict=True)
        for owner, head, tail, label in rows:
            found[owner].append(GoldRelation(arguments[head], arguments[tail], self.names[label]))
        return found

    def write(self, docs: Sequence[Doc], key: str) -> None:
        """Write the relations of each doc to `doc.spans[key]`."""
        entities = self.entities
        arguments = interleave(self.heads, self.tails)
        # spaCy takes long to make a span, and an entity can be in several relations
        used, index = np.unique(arguments, return_inverse=True)
        columns = (entities.docs[used], entities.starts[used], entities.ends[used], entities.labels[used])
        places = zip(*(column.tolist() for column in columns), strict=True)
        made = [Span(docs[doc], start, end, label=entities.names[label]) for doc, start, end, label in places]
        spans = [made[row] for row in index.tolist()]
        labels, scores = [self.names[label] for label in self.labels.tolist()], self.scores.tolist()
        edges = np.searchsorted(entities.docs[self.heads], np.arange(len(docs) + 1)).tolist()
        for doc, start, end in zip(docs, edges, edges[1:], strict=False):
            set_group(doc, spans[2 * start : 2 * end], labels[start:end], scores[start:end], key)
