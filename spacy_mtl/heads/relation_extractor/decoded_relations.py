"""The relations decoded from a batch, and how they are written to docs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from spacy.tokens import Doc, Span

from ...gold_relations import Argument, GoldRelation
from ...protocols.arrays import FloatsT, IntsT
from ...protocols.found_annotation import FoundSpans
from ...relation import Relation, set_relations


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
        found: list[list[Relation]] = [[] for _ in docs]
        entities = self.entities
        places = list(zip(entities.docs.tolist(), entities.starts.tolist(), entities.ends.tolist(), strict=True))
        types = [entities.names[label] for label in entities.labels.tolist()]

        # spaCy takes long to make a span, and an entity can be in several relations
        @cache
        def span(index: int) -> Span:
            doc, start, end = places[index]
            return Span(docs[doc], start, end, label=types[index])

        columns = (self.heads, self.tails, self.labels, self.scores)
        for head, tail, label, score in zip(*(column.tolist() for column in columns), strict=True):
            found[places[head][0]].append(Relation(span(head), span(tail), self.names[label], score))
        for doc, own in zip(docs, found, strict=True):
            set_relations(doc, own, key)
