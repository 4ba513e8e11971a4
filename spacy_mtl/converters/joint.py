"""Joint intent and slot files: `seq.in`, `seq.out` and `label`, one utterance a line.

The layout comes from Slot-Gated Modeling (Goo et al. 2018) and is also that of JointBERT (Chen et al. 2019).
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from .tags import set_entities, tags_to_entities
from .text_files import COLUMN_SPACE, ConversionError, read_lines

WORDS, SLOTS, INTENTS = "seq.in", "seq.out", "label"
# What releases put between several intents of an utterance.
JOINED_BY = "#"


def convert_joint(
    path: Path,
    vocab: Vocab,
    *,
    intents: Iterable[str] | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[Doc]:
    """Docs with one token a word, slots in `doc.ents` and every intent as a key of `doc.cats` (1.0 or 0.0).

    path (Path): The folder with the three files.
    vocab (Vocab): The vocabulary of the docs.
    intents (Iterable[str] | None): The keys of `cats`, where other splits have further intents. Default: the
        intents of this folder.
    separator (str | None): Splits an utterance's label into several intents (`#` in ATIS). Default: one label.
    encoding (str): The encoding of the three files.
    YIELDS (Doc): One doc an utterance.
    RAISES ConversionError: A file is missing, the files have different numbers of lines, a line has different
        numbers of words and tags, a tag is invalid, or a label is empty.
    """
    rows = _read_rows(path, encoding)
    keys = sorted(intents) if intents is not None else collect_intents([path], separator=separator, encoding=encoding)
    for line, (text, tags, label) in enumerate(rows, start=1):
        doc = _make_doc(vocab, text, tags, path=path, line=line)
        positive = split_label(label, separator)
        doc.cats = {key: float(key in positive) for key in keys}
        yield doc


def collect_intents(paths: Iterable[Path], *, separator: str | None = None, encoding: str = "utf-8") -> list[str]:
    """All intents of several folders.

    paths (Iterable[Path]): Folders with the three files.
    separator (str | None): Splits an utterance's label into several intents.
    encoding (str): The encoding of the files.
    RETURNS (list[str]): The intents, sorted.
    """
    labels = {label for path in paths for label in read_lines(path / INTENTS, encoding=encoding)}
    return sorted({intent for label in labels for intent in split_label(label, separator)})


def split_label(label: str, separator: str | None) -> list[str]:
    """The intents in one line of `label`. Without a separator `b#a` is the same intent as `a#b`.

    label (str): The line.
    separator (str | None): What stands between two intents, or None if the line is one intent.
    RETURNS (list[str]): The intents, without blank ones.
    """
    parts = [part.strip() for part in label.split(separator or JOINED_BY)]
    if separator:
        return [part for part in parts if part]
    return [JOINED_BY.join(sorted(parts))] if all(parts) else [label.strip()]


def _read_rows(path: Path, encoding: str) -> list[tuple[str, str, str]]:
    columns = [read_lines(path / name, encoding=encoding) for name in (WORDS, SLOTS, INTENTS)]
    sizes = [len(column) for column in columns]
    if len(set(sizes)) > 1:
        found = ", ".join(f"{name} {size}" for name, size in zip((WORDS, SLOTS, INTENTS), sizes, strict=True))
        raise ConversionError(path, f"expected the same number of lines in each file, found {found}", min(sizes) + 1)
    for line, label in enumerate(columns[2], start=1):
        if not label.strip():
            raise ConversionError(path / INTENTS, "expected an intent, found an empty line", line)
    return list(zip(*columns, strict=True))


def _make_doc(vocab: Vocab, text: str, tag_text: str, *, path: Path, line: int) -> Doc:
    words, tags = (re.split(COLUMN_SPACE, column.strip(" \t")) for column in (text, tag_text))
    if words == [""]:
        raise ConversionError(path / WORDS, "expected an utterance, found an empty line", line)
    if len(words) != len(tags):
        raise ConversionError(path / SLOTS, f"expected {len(words)} tags for {text.strip()!r}, found {len(tags)}", line)
    doc = Doc(vocab, words=words, spaces=[True] * (len(words) - 1) + [False])
    set_entities(doc, tags_to_entities(tags, path=path / SLOTS, lines=[line] * len(tags)))
    return doc
