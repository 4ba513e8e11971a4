"""Entities and relations of CrossRE (Bassignana and Plank 2022): JSON, one sentence a line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from spacy.tokens import Doc
from spacy.vocab import Vocab

from .fields import Place, field, words_of
from .json_records import read_records
from .relation_docs import Entity, RelationT, annotate, check_entity, doc_of_words

# the keys by which a file is known
CROSSRE_KEYS = ("sentence", "ner", "relations")


def convert_crossre(path: Path, vocab: Vocab, *, encoding: str = "utf-8") -> Iterator[Doc]:
    """Docs from `{"sentence": […], "ner": [[start, end, type]], "relations": [[start, end, start, end, label, …]]}`.

    An end is the last token of an entity. What comes after a relation's label (explanation, uncertainty, ambiguity) is
    left out. An argument that is not in `ner` stays an argument, without a label.

    path (Path): A file with one of these objects a line.
    vocab (Vocab): The vocabulary of the docs.
    encoding (str): The encoding of the file.
    YIELDS (Doc): One doc a sentence, with a space between any two tokens.
    RAISES ConversionError: JSON is broken, a field is missing or wrong, or an entity is not in the sentence.
    """
    for line, record in read_records(path, encoding=encoding):
        place = Place(path, line)
        doc = doc_of_words(vocab, words_of(record, "sentence", place))
        entities = [
            _entity(row, len(doc), place.of(f"ner[{number}]"))
            for number, row in enumerate(field(record, "ner", list, place))
        ]
        labels = {(entity.start, entity.end): entity.label for entity in entities}
        rows = enumerate(field(record, "relations", list, place))
        relations = [_relation(row, labels, len(doc), place.of(f"relations[{number}]")) for number, row in rows]
        yield annotate(doc, entities, relations)


def _entity(row: object, size: int, place: Place) -> Entity:
    start, end, label = _columns(row, (int, int, str), "[start, end, type]", place)
    return check_entity(Entity(start, end + 1, label), size, place)


def _relation(row: object, labels: dict[tuple[int, int], str], size: int, place: Place) -> RelationT:
    kinds, form = (int, int, int, int, str), "[start, end, start, end, label]"
    *places, label = _columns(row, kinds, form, place)
    head, tail = ((start, end + 1) for start, end in (places[:2], places[2:]))
    arguments = [check_entity(Entity(*span, labels.get(span, "")), size, place) for span in (head, tail)]
    return arguments[0], arguments[1], label


def _columns(row: object, kinds: Sequence[type], form: str, place: Place) -> list[Any]:
    if not isinstance(row, list) or len(row) < len(kinds) or not all(map(isinstance, row, kinds)):
        raise place.error(f"it is {row!r}, expected {form}")
    return row[: len(kinds)]
