"""Where the candidates come from: gold entities in training, found ones in prediction."""

from collections.abc import Iterable, Sequence

import numpy as np
from spacy.tokens import Doc
from spacy.training import Example

from ...gold_relations import Argument, aligned_entities, gold_entities
from ...protocols.found_annotation import FoundSpans


def as_arrays(entities: Sequence[Iterable[Argument]]) -> FoundSpans:
    """Put the entities of each doc into arrays. The names are the types that occur."""
    rows = [(doc, *entity) for doc, own in enumerate(entities) for entity in own]
    names = tuple(dict.fromkeys(row[3] for row in rows))
    index = {name: place for place, name in enumerate(names)}
    return from_rows([(*row[:3], index[row[3]]) for row in rows], names)


def from_rows(rows: Sequence[tuple[int, int, int, int]], names: tuple[str, ...]) -> FoundSpans:
    """Make the arrays from rows of doc, first token, end and index of the type."""
    docs, starts, ends, labels = np.array(rows, dtype="int64").reshape(-1, 4).T
    return FoundSpans(docs, starts, ends, labels, names)


def spans_of(docs: Sequence[Doc], spans_key: str | None) -> FoundSpans:
    """Get the entities that an earlier pipe has set, from `doc.ents` or `doc.spans[spans_key]`."""
    entities = [gold_entities(doc, spans_key) for doc in docs]
    return as_arrays([[Argument(ent.start, ent.end, ent.label_) for ent in own] for own in entities])


def gold_spans(examples: Sequence[Example], key: str, spans_key: str | None) -> FoundSpans:
    """Get the gold entities of docs with gold relations, in predicted tokens. Other docs have none.

    key (str): The span group of the relations.
    """
    return as_arrays([aligned_entities(eg, key, spans_key) if key in eg.reference.spans else [] for eg in examples])


def mixed(gold: FoundSpans, found: FoundSpans, docs: Sequence[int]) -> FoundSpans:
    """Add found entities to the gold ones of some docs. A found entity at a gold one's place replaces it, with the type
    that was found.
    """
    names = tuple(dict.fromkeys((*gold.names, *found.names)))
    index = {name: place for place, name in enumerate(names)}
    entities: dict[tuple[int, int, int], int] = {}
    for spans, kept in ((gold, None), (found, docs)):
        rows = np.ones(len(spans.docs), dtype=bool) if kept is None else np.isin(spans.docs, kept)
        columns = (spans.docs[rows], spans.starts[rows], spans.ends[rows], spans.labels[rows])
        for doc, start, end, label in zip(*(column.tolist() for column in columns), strict=True):
            entities[doc, start, end] = index[spans.names[label]]
    return from_rows([(*place, label) for place, label in entities.items()], names)
