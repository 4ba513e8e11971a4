"""Entities and relations from Prodigy's recipe `rel.manual`: JSONL."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from .fields import Place, field, objects
from .json_records import read_records
from .relation_docs import Entity, annotate, doc_of_text, entity_in_text, in_tokens
from .text_files import ConversionError

# the keys by which a file is known
PRODIGY_KEYS = ("text", "relations")


def convert_prodigy(path: Path, nlp: Language, *, encoding: str = "utf-8") -> Iterator[Doc]:
    """Docs from `{"text", "tokens", "spans": […], "relations": [{"head_span", "child_span", "label"}], "answer"}`.

    The head of a relation is its `head_span`, the tail its `child_span`; places are characters. Rejected and ignored
    tasks are left out. Without `relations` or `spans`, these are missing in the doc. An argument that is no span stays
    an argument, without a label.

    path (Path): What `prodigy db-out` writes.
    nlp (Language): Splits texts that come without tokens.
    encoding (str): The encoding of the file.
    YIELDS (Doc): One doc an accepted task, with the tokens of the task. A token that the boundary of an entity cuts is
        split there.
    RAISES ConversionError: JSON is broken, a field is missing or wrong, a span is not in the text, the tokens are not
        those of the text, or no task was accepted.
    """
    is_empty = True
    for line, record in read_records(path, encoding=encoding):
        if record.get("answer", "accept") == "accept":
            is_empty = False
            yield _make_doc(record, nlp, Place(path, line))
    if is_empty:
        raise ConversionError(path, "the file has no accepted task")


def _make_doc(record: Mapping[str, Any], nlp: Language, place: Place) -> Doc:
    text = field(record, "text", str, place)
    entities = [
        _span(value, field(value, "label", str, part), text, part) for value, part in _parts(record, "spans", place)
    ]
    relations = []
    for value, part in _parts(record, "relations", place):
        spans = [field(value, key, dict, part) for key in ("head_span", "child_span")]
        head, tail = (_span(span, span.get("label") or "", text, part) for span in spans)
        relations.append((head, tail, field(value, "label", str, part)))
    arguments = [entity for head, tail, _ in relations for entity in (head, tail)]
    try:
        doc = doc_of_text(nlp.vocab, text, _words(record, text, nlp, place), [*entities, *arguments])
    except ValueError as error:
        raise place.error("the texts of 'tokens' are not those of 'text'") from error
    return annotate(
        doc,
        [in_tokens(doc, entity) for entity in entities] if "spans" in record else None,
        [(in_tokens(doc, h), in_tokens(doc, t), label) for h, t, label in relations] if "relations" in record else None,
    )


def _parts(record: Mapping[str, Any], key: str, place: Place) -> Iterator[tuple[dict[str, Any], Place]]:
    """The objects under a key that may be missing, each with its place."""
    for number, value in enumerate(objects(record, key, place) if key in record else []):
        yield value, place.of(f"{key}[{number}]")


def _span(value: Mapping[str, Any], label: str, text: str, place: Place) -> Entity:
    start, end = (field(value, key, int, place) for key in ("start", "end"))
    return entity_in_text(Entity(start, end, label), text, place)


def _words(record: Mapping[str, Any], text: str, nlp: Language, place: Place) -> list[str]:
    if "tokens" not in record:
        return [token.text for token in nlp.make_doc(text)]
    return [field(value, "text", str, place) for value in objects(record, "tokens", place)]
