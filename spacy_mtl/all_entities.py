"""All entities of a doc, also those that overlap, which `doc.ents` can't hold."""

from collections.abc import Sequence

from spacy.tokens import Doc, Span

# the span group that they are in, beside those of doc.ents that don't overlap
ENTITIES = "entities"


def all_entities(doc: Doc) -> Sequence[Span]:
    """Return the spans in `doc.spans["entities"]`, or those in `doc.ents` if there is no such group."""
    return list(doc.spans.get(ENTITIES, doc.ents))
