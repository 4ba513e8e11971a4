"""From one tag a token (IOB1, IOB2, BILOU or IOBES) to entity spans."""

import re
from collections.abc import Sequence
from pathlib import Path

from spacy.tokens import Doc, Span

from .text_files import ConversionError

TAG = re.compile(r"O|([BILUES])-(.+)")

EntityT = tuple[int, int, str]  # first token, token after the last, label


def tags_to_entities(tags: Sequence[str], *, path: Path, lines: Sequence[int]) -> list[EntityT]:
    """Entities of one sentence.

    An entity starts at `B-` and `U-`/`S-`, and at an `I-` that continues no entity of the same label (IOB1). It ends
    at `L-`/`E-`, before `O`, and before the next start.

    tags (Sequence[str]): One tag a token.
    path (Path): The input file, for errors.
    lines (Sequence[int]): The line of each tag, for errors.
    RETURNS (list[tuple[int, int, str]]): First token, token after the last, label.
    RAISES ConversionError: A tag has another form, or `L-`/`E-` ends nothing.
    """
    entities: list[EntityT] = []
    is_open = False
    for i, tag in enumerate(tags):
        prefix, label = _parse(tag, path=path, line=lines[i])
        continues = is_open and entities[-1][2] == label and prefix in ("I", "L", "E")
        if prefix in ("L", "E") and not continues:
            raise ConversionError(path, f"tag {tag!r} ends an entity that did not start", lines[i])
        if continues:
            entities[-1] = (entities[-1][0], i + 1, label)
        elif prefix != "O":
            entities.append((i, i + 1, label))
        is_open = prefix in ("B", "I")
    return entities


def set_entities(doc: Doc, entities: Sequence[EntityT]) -> None:
    """Write entities to a doc. All other tokens become `O`, also when there is no entity.

    doc (Doc): The doc to change.
    entities (Sequence[tuple[int, int, str]]): First token, token after the last, label.
    """
    doc.set_ents([Span(doc, start, end, label=label) for start, end, label in entities])


def _parse(tag: str, *, path: Path, line: int) -> tuple[str, str]:
    match = TAG.fullmatch(tag)
    if match is None:
        raise ConversionError(path, f"invalid tag {tag!r}, expected O, B-label or I-label (or L-, U-, E-, S-)", line)
    return match[1] or "O", match[2] or ""
