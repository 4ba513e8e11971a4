"""Entities and relations in brat's standoff format: a text in NAME.txt, its annotation in NAME.ann."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from pathlib import Path
from typing import Literal

from spacy.language import Language
from spacy.tokens import Doc

from .fields import Place
from .relation_docs import Entity, annotate, doc_of_text, entity_in_text, in_tokens
from .text_files import read_lines, read_text

ANNOTATION = ".ann"
ENTITY = re.compile(r"(?P<id>T\S+)\t(?P<label>\S+) (?P<places>\d+ \d+(?:;\d+ \d+)*)(?:\t(?P<text>.*))?")
RELATION = re.compile(r"R\S+\t(?P<label>\S+) [^\s:]+:(?P<head>\S+) [^\s:]+:(?P<tail>\S+)\s*")
SYMMETRIC = re.compile(r"\*\t(?P<label>\S+)(?P<ids>(?: \S+){2,})\s*")
# events, attributes, modifications, normalizations and notes: there is no place for them in a doc
LEFT_OUT = ("E", "A", "M", "N", "#")
FORMS = {
    "T": (ENTITY, "ID, tab, label, space, start and end, tab, text"),
    "R": (RELATION, "ID, tab, label, and two arguments such as Arg1:T1 Arg2:T2"),
    "*": (SYMMETRIC, "*, tab, label, and at least two IDs"),
}

DiscontinuousT = Literal["error", "cover", "skip"]


@dataclass
class Annotation:
    """What a file says: entities in characters by their ID, None for one that is left out; relations as label and the
    IDs of head and tail, each with its place.
    """

    entities: dict[str, Entity | None] = field(default_factory=dict)
    relations: list[tuple[str, str, str, Place]] = field(default_factory=list)


def convert_brat(
    path: Path, nlp: Language, *, discontinuous: DiscontinuousT = "error", encoding: str = "utf-8"
) -> Iterator[Doc]:
    """Docs from pairs of a `.txt` and an `.ann` file.

    Reads text-bound annotations (T), binary relations (R), whose first argument is the head, and relations such as
    Equiv (*), which become one relation for each two of their arguments, in their order. Events, attributes,
    normalizations and notes are left out; the triggers of events are entities.

    path (Path): A folder of such pairs, or one of the two files.
    nlp (Language): Splits the texts. A token that the boundary of an entity cuts is split there.
    discontinuous (str): What becomes of an entity in several parts with other words between them: "error" refuses it,
        "cover" takes all from the first part to the last, "skip" leaves it out, with its relations.
    encoding (str): The encoding of the files.
    YIELDS (Doc): One doc a text, in the order of the names.
    RAISES ConversionError: A file is missing, a line has another form, places don't fit the text, or an argument is no
        entity of the file.
    """
    files = sorted(path.glob(f"*{ANNOTATION}")) if path.is_dir() else [path.with_suffix(ANNOTATION)]
    for file in files:
        text = read_text(file.with_suffix(".txt"), encoding=encoding)
        found = _read(file, text, discontinuous, encoding)
        entities = [entity for entity in found.entities.values() if entity is not None]
        doc = doc_of_text(nlp.vocab, text, [token.text for token in nlp.make_doc(text)], entities)
        relations = []
        for label, *ids, place in found.relations:
            head, tail = (_argument(found, name, place) for name in ids)
            if head is not None and tail is not None:
                relations.append((in_tokens(doc, head), in_tokens(doc, tail), label))
        yield annotate(doc, [in_tokens(doc, entity) for entity in entities], relations)


def _read(file: Path, text: str, discontinuous: DiscontinuousT, encoding: str) -> Annotation:
    found = Annotation()
    # a text without annotation has an empty file
    lines = read_lines(file, encoding=encoding) if not file.is_file() or file.read_bytes().strip() else []
    for number, line in enumerate(lines, start=1):
        place = Place(file, number)
        if not line.strip() or line.startswith(LEFT_OUT):
            continue
        match = _match(line, place)
        if line.startswith("T"):
            if match["id"] in found.entities:
                raise place.error(f"a second entity has the ID {match['id']}")
            found.entities[match["id"]] = _entity(match, text, discontinuous, place)
        elif line.startswith("R"):
            found.relations.append((match["label"], match["head"], match["tail"], place))
        else:
            pairs = combinations(match["ids"].split(), 2)
            found.relations += [(match["label"], head, tail, place) for head, tail in pairs]
    return found


def _match(line: str, place: Place) -> re.Match[str]:
    if line[0] not in FORMS:
        kinds = ", ".join((*FORMS, *LEFT_OUT))
        raise place.error(f"the line begins with {line[0]!r}, expected one of {kinds}")
    pattern, form = FORMS[line[0]]
    match = pattern.fullmatch(line)
    if match is None:
        raise place.error(f"expected {form}, found {line!r}")
    return match


def _entity(match: re.Match[str], text: str, discontinuous: DiscontinuousT, place: Place) -> Entity | None:
    parts = sorted(tuple(map(int, part.split())) for part in match["places"].split(";"))
    if any(start >= end or end > len(text) for start, end in parts):
        raise place.error(f"the places {match['places']} are empty or not in the text of {len(text)} characters")
    covered = " ".join(text[start:end] for start, end in parts)
    if match["text"] is not None and _plain(match["text"]) != _plain(covered):
        raise place.error(
            f"the text at {match['places']} is {covered!r}, but the line says {match['text']!r}; places count "
            "characters (code points) from 0, line breaks included"
        )
    # brat writes an entity over a line break in two parts
    gaps = [text[end:start] for (_, end), (start, _) in pairwise(parts) if text[end:start].strip()]
    if gaps and discontinuous == "skip":
        return None
    if gaps and discontinuous == "error":
        raise place.error(
            f"{match['id']} is in {len(parts)} parts, with {gaps[0].strip()!r} between them, and spans of spaCy are "
            "continuous; --discontinuous cover takes the whole stretch, --discontinuous skip leaves it out"
        )
    return entity_in_text(Entity(parts[0][0], parts[-1][1], match["label"]), text, place)


def _plain(text: str) -> str:
    """The text with one space for each white space, as brat writes line breaks."""
    return " ".join(text.split())


def _argument(found: Annotation, name: str, place: Place) -> Entity | None:
    if name not in found.entities:
        raise place.error(f"the argument {name} is no entity (T) of the file")
    return found.entities[name]


def find_brat_folders(path: Path) -> list[Path]:
    """The folder itself if it has `.ann` files, else its subfolders that have some."""
    if any(path.glob(f"*{ANNOTATION}")):
        return [path]
    return sorted({file.parent for file in path.glob(f"*/*{ANNOTATION}")})
