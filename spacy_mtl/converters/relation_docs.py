"""Docs with entities, which may overlap, and relations between them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from spacy.tokens import Doc, Span, SpanGroup
from spacy.util import filter_spans, get_words_and_spaces
from spacy.vocab import Vocab

from ..all_entities import ENTITIES
from ..relation import Relation, set_relations
from .fields import Place


class Entity(NamedTuple):
    """First token, token after the last, and label; or the same in characters. The label is "" for an argument that is
    no entity.
    """

    start: int
    end: int
    label: str


RelationT = tuple[Entity, Entity, str]  # head, tail, label


def check_entity(entity: Entity, size: int, place: Place, unit: str = "tokens") -> Entity:
    """RETURNS: The entity. RAISES ConversionError: It is empty or not in the doc.

    size (int): Length of the doc.
    """
    if not 0 <= entity.start < entity.end <= size:
        message = f"it is from {entity.start} up to {entity.end}, the end excluded, but the doc has {size} {unit}"
        raise place.error(message)
    return entity


def entity_in_text(entity: Entity, text: str, place: Place) -> Entity:
    """RETURNS: The entity in characters, without white space at its ends. RAISES ConversionError: It is empty or not in
    the text.
    """
    check_entity(entity, len(text), place, "characters")
    covered = text[entity.start : entity.end]
    start = entity.end - len(covered.lstrip())
    return check_entity(Entity(start, start + len(covered.strip()), entity.label), len(text), place, "characters")


def annotate(doc: Doc, entities: Iterable[Entity] | None, relations: Iterable[RelationT] | None) -> Doc:
    """Write entities to `doc.spans["entities"]` and, as far as they don't overlap, to `doc.ents`, and relations to
    `doc.spans["relations"]`. Of entities that overlap, `doc.ents` gets the longest, or else the first.

    entities (Iterable[Entity] | None): In tokens; None if they are not annotated. The same one twice counts once.
    relations (Iterable[RelationT] | None): In tokens; None if they are not annotated.
    RETURNS (Doc): The doc.
    """
    if entities is not None:
        spans = [Span(doc, *entity) for entity in sorted(set(entities))]
        doc.spans[ENTITIES] = SpanGroup(doc, name=ENTITIES, spans=spans)
        doc.set_ents(filter_spans(spans))
    if relations is not None:
        found = [Relation(Span(doc, *head), Span(doc, *tail), label) for head, tail, label in relations]
        set_relations(doc, found, with_scores=False)
    return doc


def doc_of_words(vocab: Vocab, words: list[str]) -> Doc:
    """A doc with these tokens and a space between any two."""
    return Doc(vocab, words=words, spaces=[True] * (len(words) - 1) + [False])


def doc_of_text(vocab: Vocab, text: str, words: Sequence[str], entities: Iterable[Entity]) -> Doc:
    """A doc with this text and these tokens. Tokens are split where an entity begins or ends, so that none is lost.

    words (Sequence[str]): The tokens in their order; the white space between them is that of the text.
    entities (Iterable[Entity]): In characters, as `entity_in_text` returns them.
    RAISES ValueError: The tokens are not those of the text.
    """
    cuts = {place for entity in entities for place in (entity.start, entity.end)}
    new_words: list[str] = []
    new_spaces: list[bool] = []
    start = 0
    for word, space in zip(*get_words_and_spaces(words, text), strict=True):
        inside = [place - start for place in range(start + 1, start + len(word)) if place in cuts]
        new_words += [word[a:b] for a, b in zip([0, *inside], [*inside, len(word)], strict=True)]
        new_spaces += [False] * len(inside) + [space]
        start += len(word) + space
    return Doc(vocab, words=new_words, spaces=new_spaces)


def in_tokens(doc: Doc, entity: Entity) -> Entity:
    """An entity in tokens instead of characters, in a doc of `doc_of_text` that was made for it."""
    span = doc.char_span(entity.start, entity.end)
    assert span is not None, (doc.text, entity)
    return Entity(span.start, span.end, entity.label)
