"""Read CoNLL-U files (https://universaldependencies.org/format.html)."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from spacy.parts_of_speech import IDS as UPOS
from spacy.tokens import Doc
from spacy.vocab import Vocab

from .tags import EntityT, set_entities, tags_to_entities
from .text_files import ConversionError, read_lines

N_COLUMNS = 10
WORD_ID = re.compile(r"\d+")
RANGE_ID = re.compile(r"(\d+)-(\d+)")
EMPTY_ID = re.compile(r"\d+\.\d+")


class Word(NamedTuple):
    """A syntactic word. An empty string stands for `_`. `head` is None if missing and 0 at the root."""

    line: int
    form: str
    lemma: str
    upos: str
    xpos: str
    feats: str
    head: int | None
    deprel: str
    misc: dict[str, str]
    space: bool


class Range(NamedTuple):
    """A multi-word token: the surface form of words `first` to `last` (1-based)."""

    line: int
    form: str
    first: int
    last: int
    space: bool


SentenceT = list[Word]


def convert_conllu(
    path: Path, vocab: Vocab, *, n_sents: int = 1, ner_key: str | None = None, encoding: str = "utf-8"
) -> Iterator[Doc]:
    """Convert a file to docs with `tag` (XPOS), `pos` (UPOS), `morph` (FEATS), `lemma`, `head`, `dep` and sentence
    starts.

    Tokens are the syntactic words: ranges (`1-2`) and empty nodes (`1.1`) are skipped. If the words of a range spell
    its form, there is no space between them. `_` is a missing value. FEATS are an exception: if any word of the file
    has features, a word without them is annotated as having none.

    path (Path): The file.
    vocab (Vocab): The vocabulary of the docs.
    n_sents (int): Number of sentences in a doc.
    ner_key (str | None): The key in MISC that holds the entity tag, such as `name` in `name=B-PER`. A word without the
        key is `O`. None leaves the entities missing.
    encoding (str): The encoding of the file.
    YIELDS (Doc): One doc for each `n_sents` sentences; the last doc may have fewer.
    RAISES ConversionError: A line does not have ten columns, the ids are not 1, 2, 3, …, UPOS is not a UD tag, FEATS
        has no `=`, the heads do not form a tree with one root, an entity tag is invalid, or no word has `ner_key`.
    """
    if n_sents < 1:
        raise ConversionError(path, f"n_sents is {n_sents}, expected 1 or more")
    sentences = read_conllu(path, encoding=encoding)
    words = [word for sentence in sentences for word in sentence]
    has_feats = any(word.feats for word in words)
    _check_annotated(words, path=path, ner_key=ner_key)
    for start in range(0, len(sentences), n_sents):
        batch = sentences[start : start + n_sents]
        doc = _make_doc(vocab, batch, has_feats=has_feats)
        if ner_key is not None:
            _set_entities(doc, batch, path=path, ner_key=ner_key)
        yield doc


def read_conllu(path: Path, *, encoding: str = "utf-8") -> list[SentenceT]:
    """Read the sentences of a file.

    path (Path): The file.
    encoding (str): The encoding of the file.
    RETURNS (list[list[Word]]): The words of each sentence.
    RAISES ConversionError: As for `convert_conllu`.
    """
    sentences = []
    words: list[Word] = []
    ranges: list[Range] = []
    for line, text in enumerate([*read_lines(path, encoding=encoding), ""], start=1):
        if text.startswith("#"):
            continue
        if text.strip():
            _read_row(text, words, ranges, path=path, line=line)
        elif words:
            _check_tree(words, path)
            sentences.append(_join_ranges(words, ranges, path))
            words, ranges = [], []
    if not sentences:
        raise ConversionError(path, "the file has no sentence")
    return sentences


def _read_row(text: str, words: list[Word], ranges: list[Range], *, path: Path, line: int) -> None:
    """Parse a line and append its word or range."""
    columns = text.split("\t")
    if len(columns) != N_COLUMNS:
        raise ConversionError(path, f"expected {N_COLUMNS} tab-separated columns, found {len(columns)}", line)
    if not columns[1].strip():
        raise ConversionError(path, "FORM is empty", line)
    if EMPTY_ID.fullmatch(columns[0]):
        return
    if match := RANGE_ID.fullmatch(columns[0]):
        space = _parse_misc(columns[9]).get("SpaceAfter") != "No"
        ranges.append(Range(line, columns[1], int(match[1]), int(match[2]), space))
    elif WORD_ID.fullmatch(columns[0]) and int(columns[0]) == len(words) + 1:
        words.append(_parse_word(columns, path=path, line=line))
    else:
        raise ConversionError(path, f"expected ID {len(words) + 1}, found {columns[0]!r}", line)


def _parse_word(columns: Sequence[str], *, path: Path, line: int) -> Word:
    _, form, lemma, upos, xpos, feats, head, deprel, _, misc_text = columns
    # The lemma of the word `_` is `_`, so it is not a missing value there.
    lemma = lemma if form == "_" else _value(lemma)
    if _value(upos) not in UPOS:
        raise ConversionError(path, f"UPOS {upos!r} is not a Universal Dependencies tag", line)
    if not (head == "_" or WORD_ID.fullmatch(head)):
        raise ConversionError(path, f"HEAD is {head!r}, expected a number or _", line)
    if feats != "_" and any(item.count("=") != 1 for item in feats.split("|")):
        raise ConversionError(path, f"FEATS is {feats!r}, expected Name=Value pairs joined by |, or _", line)
    deprel = "ROOT" if deprel == "root" else _value(deprel)
    misc = _parse_misc(misc_text)
    return Word(
        line=line,
        form=form,
        lemma=lemma,
        upos=_value(upos),
        xpos=_value(xpos),
        feats=_value(feats),
        head=None if head == "_" else int(head),
        deprel=deprel,
        misc=misc,
        space=misc.get("SpaceAfter") != "No",
    )


def _value(column: str) -> str:
    return "" if column == "_" else column


def _parse_misc(misc: str) -> dict[str, str]:
    return dict(item.split("=", 1) for item in misc.split("|") if "=" in item)


def _check_tree(words: SentenceT, path: Path) -> None:
    if all(word.head is None for word in words):
        return
    for word in words:
        if word.head is None:
            raise ConversionError(path, "HEAD is _, but other words of the file have one", word.line)
        if word.head > len(words):
            raise ConversionError(path, f"HEAD {word.head} is not in 0 to {len(words)}", word.line)
    n_roots = sum(word.head == 0 for word in words)
    if n_roots != 1:
        raise ConversionError(path, f"expected one word with HEAD 0, found {n_roots}", words[0].line)
    _check_cycles([word.head or 0 for word in words], words, path)


def _check_cycles(heads: list[int], words: SentenceT, path: Path) -> None:
    reaches_root = {0}
    for start in range(1, len(heads) + 1):
        seen: set[int] = set()
        node = start
        while node not in reaches_root:
            if node in seen:
                raise ConversionError(path, f"the heads of word {node} form a cycle", words[node - 1].line)
            seen.add(node)
            node = heads[node - 1]
        reaches_root |= seen


def _check_annotated(words: SentenceT, *, path: Path, ner_key: str | None) -> None:
    without_head = [word for word in words if word.head is None]
    if 0 < len(without_head) < len(words):
        raise ConversionError(path, "HEAD is _, but other words of the file have one", without_head[0].line)
    if ner_key is not None and not any(ner_key in word.misc for word in words):
        raise ConversionError(path, f"no word has {ner_key}= in MISC")


def _join_ranges(words: SentenceT, ranges: list[Range], path: Path) -> SentenceT:
    """Return the words with `space` as the multi-word tokens say."""
    spaces = [word.space for word in words]
    for form_range in ranges:
        first, last = form_range.first, form_range.last
        if not 1 <= first < last <= len(words):
            raise ConversionError(path, f"range {first}-{last} is not in 1 to {len(words)}", form_range.line)
        if "".join(word.form for word in words[first - 1 : last]) == form_range.form:
            spaces[first - 1 : last - 1] = [False] * (last - first)
        spaces[last - 1] = form_range.space
    return [word._replace(space=space) for word, space in zip(words, spaces, strict=True)]


def _make_doc(vocab: Vocab, sentences: Sequence[SentenceT], *, has_feats: bool) -> Doc:
    words = [word for sentence in sentences for word in sentence]
    has_heads = words[0].head is not None
    return Doc(
        vocab,
        words=[word.form for word in words],
        spaces=[word.space for word in words[:-1]] + [False],
        tags=[word.xpos for word in words],
        pos=[word.upos for word in words],
        morphs=[word.feats for word in words] if has_feats else None,
        lemmas=[word.lemma for word in words],
        heads=_absolute_heads(sentences) if has_heads else None,
        deps=[word.deprel for word in words] if has_heads else None,
        sent_starts=[i == 0 for sentence in sentences for i in range(len(sentence))],
    )


def _absolute_heads(sentences: Sequence[SentenceT]) -> list[int]:
    """Return heads as token indices of the doc. A root is its own head, as in spaCy."""
    heads: list[int] = []
    for sentence in sentences:
        offset = len(heads)
        heads.extend(offset + ((word.head or i) - 1) for i, word in enumerate(sentence, start=1))
    return heads


def _set_entities(doc: Doc, sentences: Sequence[SentenceT], *, path: Path, ner_key: str) -> None:
    entities: list[EntityT] = []
    offset = 0
    for sentence in sentences:
        tags = [word.misc.get(ner_key, "O") for word in sentence]
        spans = tags_to_entities(tags, path=path, lines=[word.line for word in sentence])
        entities.extend((offset + start, offset + end, label) for start, end, label in spans)
        offset += len(sentence)
    set_entities(doc, entities)
