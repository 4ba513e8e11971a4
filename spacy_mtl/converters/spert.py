"""Entities and relations as the extractor SpERT reads them (Eberts and Ulges 2020), among them CoNLL04: JSON."""

from collections.abc import Iterator
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from .fields import Place, field, objects, words_of
from .json_records import read_records
from .relation_docs import Entity, annotate, check_entity, doc_of_words

# the keys by which a file is known
SPERT_KEYS = ("tokens", "entities", "relations")


def convert_spert(path: Path, vocab: Vocab, *, encoding: str = "utf-8") -> Iterator[Doc]:
    """Docs from `{"tokens": […], "entities": [{"type", "start", "end"}], "relations": [{"type", "head", "tail"}]}`.

    The end of an entity is the token after its last; head and tail are places in the list of entities.

    path (Path): A list of these objects, or one a line.
    vocab (Vocab): The vocabulary of the docs.
    encoding (str): The encoding of the file.
    YIELDS (Doc): One doc an object, with a space between any two tokens.
    RAISES ConversionError: JSON is broken, a field is missing or wrong, or an entity is not in the doc.
    """
    for line, record in read_records(path, encoding=encoding):
        place = Place(path, line)
        doc = doc_of_words(vocab, words_of(record, "tokens", place))
        entities = []
        for number, value in enumerate(objects(record, "entities", place)):
            part = place.of(f"entities[{number}]")
            start, end = (field(value, key, int, part) for key in ("start", "end"))
            entities.append(check_entity(Entity(start, end, field(value, "type", str, part)), len(doc), part))
        relations = []
        for number, value in enumerate(objects(record, "relations", place)):
            part = place.of(f"relations[{number}]")
            head, tail = (_entity(entities, field(value, key, int, part), key, part) for key in ("head", "tail"))
            relations.append((head, tail, field(value, "type", str, part)))
        yield annotate(doc, entities, relations)


def _entity(entities: list[Entity], index: int, key: str, place: Place) -> Entity:
    if not 0 <= index < len(entities):
        raise place.error(f"{key!r} is {index}, but there are {len(entities)} entities, counted from 0")
    return entities[index]
