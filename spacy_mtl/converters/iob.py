"""Column files for entities (CoNLL-2003 and kin): one token a line, a blank line between sentences."""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from .source import COLUMN_SPACE, ConversionError, read_lines
from .tags import set_entities, tags_to_entities

DOC_START = "-DOCSTART-"
# A file whose only sentence is longer lacks the blank lines between sentences.
MAX_ONLY_SENTENCE = 500

TokenT = tuple[int, str, str]  # line, word, tag


def convert_iob(
    path: Path, vocab: Vocab, *, token_column: int = 1, ent_column: int = -1, encoding: str = "utf-8"
) -> Iterator[Doc]:
    """Docs with `doc.ents` from a column of IOB1, IOB2, BILOU or IOBES tags.

    Columns stand between tabs, in a line without a tab between spaces. Lines that start with `-DOCSTART-` are skipped.

    path (Path): The file.
    vocab (Vocab): The vocabulary of the docs.
    token_column (int): The column of the words: 1 is the first, -1 the last.
    ent_column (int): The column of the tags, counted the same way.
    encoding (str): The encoding of the file.
    YIELDS (Doc): One doc a sentence.
    RAISES ConversionError: A line has another number of columns than the first one, a column is not there, a word is
        empty, a tag is invalid, the file has no sentence, or it has no blank line in more than `MAX_ONLY_SENTENCE`
        tokens.
    """
    tokens = _read_tokens(path, token_column=token_column, ent_column=ent_column, encoding=encoding)
    groups = groupby(tokens, key=lambda token: token is None)
    sentences = [[token for token in group if token is not None] for is_end, group in groups if not is_end]
    if not sentences:
        raise ConversionError(path, "the file has no sentence")
    if len(sentences) == 1 and len(sentences[0]) > MAX_ONLY_SENTENCE:
        raise ConversionError(
            path,
            f"{len(sentences[0])} tokens without a blank line would become one doc; put a blank line after each "
            "sentence",
        )
    for sentence in sentences:
        yield _make_doc(vocab, sentence, path)


def _read_tokens(path: Path, *, token_column: int, ent_column: int, encoding: str) -> Iterator[TokenT | None]:
    """Line, word and tag of each token, and None at the end of each sentence."""
    width = 0
    for line, text in enumerate(read_lines(path, encoding=encoding), start=1):
        if not text.strip() or text.startswith(DOC_START):
            yield None
            continue
        columns = text.split("\t") if "\t" in text else re.split(COLUMN_SPACE, text.strip(" "))
        width = width or len(columns)
        if len(columns) != width:
            raise ConversionError(path, f"expected {width} columns as in the first line, found {len(columns)}", line)
        word, tag = (_pick(columns, column, path=path, line=line) for column in (token_column, ent_column))
        yield line, word, tag
    yield None


def _pick(columns: list[str], column: int, *, path: Path, line: int) -> str:
    if column == 0 or not -len(columns) <= column <= len(columns):
        message = f"no column {column}: the line has {len(columns)} columns (1 is the first, -1 the last)"
        raise ConversionError(path, message, line)
    value = columns[column - 1 if column > 0 else column].strip()
    if not value:
        raise ConversionError(path, f"column {column} is empty", line)
    return value


def _make_doc(vocab: Vocab, sentence: list[TokenT], path: Path) -> Doc:
    lines, words, tags = (list(column) for column in zip(*sentence, strict=True))
    doc = Doc(vocab, words=words, spaces=[True] * (len(words) - 1) + [False])
    set_entities(doc, tags_to_entities(tags, path=path, lines=lines))
    return doc
