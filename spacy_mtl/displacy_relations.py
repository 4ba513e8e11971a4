"""Drawings of relations by displaCy: entities in a row, and an arrow from the head of each relation to its tail."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from spacy import displacy
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from .all_entities import all_entities
from .relation import UNKNOWN, Relation, relations

# displaCy gives all words the same room, so the text between entities is cut into pieces about as long as they are.
MIN_PIECE = 16
# for a character in displaCy's font of 16 pixels
PIXELS = 9


def displacy_data(doc: Doc) -> dict[str, Any]:
    """Return the relations of a doc as data for displaCy, which draws it with `style="dep"` and `manual=True`.

    Each entity and each argument of a relation is a word of the drawing, with its label below. Of those that overlap,
    the longest is drawn and stands for the others; relations inside it are left out. The labels of a pair share an
    arrow.
    """
    found = relations(doc)
    arguments = [span for relation in found for span in (relation.head, relation.tail)]
    pieces = list(_pieces(doc, filter_spans([*arguments, *all_entities(doc)])))
    place = [number for number, piece in enumerate(pieces) for _ in piece]
    return {
        "words": [{"text": piece.text, "tag": escape(piece.label_)} for piece in pieces],
        "arcs": _arcs(found, place),
        "settings": {"lang": doc.lang_ or "en", "direction": doc.vocab.writing_system.get("direction", "ltr")},
    }


def render_relations(doc: Doc, *, page: bool = False, options: dict[str, Any] | None = None) -> str:
    """Return the relations of a doc as SVG, drawn by displaCy.

    page (bool): Return a whole HTML page.
    options (dict[str, Any] | None): displaCy's options of the style "dep", such as `{"compact": True}`.
    """
    data = displacy_data(doc)
    distance = PIXELS * max((len(word["text"]) for word in data["words"]), default=0)
    settings = {"distance": distance, "offset_x": distance / 2, "word_spacing": 30, **(options or {})}
    return displacy.render([data], style="dep", manual=True, page=page, jupyter=False, options=settings)


def _pieces(doc: Doc, units: Sequence[Span]) -> Iterator[Span]:
    """The units, and what is between them."""
    size = max([MIN_PIECE, *(len(unit.text) for unit in units)])
    ends = {unit.start: unit for unit in units}
    start = 0
    for i in range(1, len(doc) + 1):
        unit = ends.get(start)
        if unit is not None and i < unit.end:
            continue
        if unit is None and i < len(doc) and i not in ends and len(doc[start : i + 1].text) <= size:
            continue
        yield doc[start:i] if unit is None else unit
        start = i


def _arcs(found: Sequence[Relation], place: Sequence[int]) -> list[dict[str, Any]]:
    """The arrows.

    place (Sequence[int]): The word of the drawing of each token.
    """
    labels: dict[tuple[int, int], list[str]] = {}
    for relation in found:
        pair = place[relation.head.start], place[relation.tail.start]
        if pair[0] != pair[1] and relation.label != UNKNOWN:
            labels.setdefault(pair, []).append(relation.label)
    return [
        {
            "start": min(pair),
            "end": max(pair),
            "label": escape(", ".join(dict.fromkeys(names))),
            "dir": "right" if pair[0] < pair[1] else "left",
        }
        for pair, names in labels.items()
    ]
