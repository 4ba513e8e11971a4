"""Read raw text as a corpus of examples without gold, or with classes that are known of every text."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example

from ..config_mappings import read_mapping
from ..gold import unannotated

READER = "spacy_mtl.UnlabelledCorpus.v1"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def make_unlabelled_corpus_v1(
    path: Path | None,
    cats: dict[str, Any] | list[Any] = {},  # noqa: B006  (a config needs a plain default; it is only read)
    limit: int = 0,
) -> "UnlabelledCorpus":
    """Build a reader of raw text. Files are read text by text, `.spacy` files one file at a time.

    path (Path): A `.txt` file (UTF-8, one text a line), a `.jsonl` file (one object a line, with the text under
        `"text"`), a `.spacy` file (its tokens are kept, its annotation is dropped), or a folder of these, with
        subfolders. Blank texts are skipped.
    cats (dict[str, float] | list[list]): Classes that are known of every text, such as `{"email": 1.0}`. They become
        gold in `doc.cats`; all other annotation is missing. Keys with `=` need a list of pairs:
        `[["genre=email", 1.0]]`.
    limit (int): Maximum number of texts; 0 for all.
    """
    if path is None:
        raise ValueError(f"{READER}: path is null; name a file ({', '.join(TEXTS)}) or a folder of such files")
    if limit < 0:
        raise ValueError(f"{READER}: limit is {limit}; it must be a number of texts, or 0 for all")
    known = read_mapping(cats, f"{READER}: cats")
    wrong = {key: value for key, value in known.items() if isinstance(value, str) or not 0.0 <= value <= 1.0}
    if wrong:
        raise ValueError(f"{READER}: cats has {wrong}; values must be numbers from 0 to 1")
    return UnlabelledCorpus(path, cats=known, limit=limit)


class UnlabelledCorpus:
    """The reader. Each call reads the files again, text by text. A `.spacy` file is held as a whole."""

    def __init__(self, path: str | Path, *, cats: Mapping[str, float] | None = None, limit: int = 0) -> None:
        self.path = Path(path)
        self.cats = dict(cats or {})
        self.limit = limit

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the texts in the order of the files' names. The gold docs carry `cats` and nothing else.

        Raises a ValueError that names the file, and the line where there is one, if a file is missing, broken or has
        no text.
        """
        docs = (doc for file in find_files(self.path) for doc in read_docs(file, nlp))
        for doc in islice(docs, self.limit or None):
            reference = doc.copy()
            reference.cats = dict(self.cats)
            yield Example(doc, reference)


def find_files(path: Path) -> list[Path]:
    """Return the file, or the readable files of a folder, by name."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in TEXTS and file.is_file())
        if not files:
            raise ValueError(f"{READER}: the folder {path} has no files with the suffix {', '.join(TEXTS)}")
        return files
    if not path.is_file():
        raise ValueError(f"{READER}: no such file or folder: {path}")
    if path.suffix not in TEXTS:
        raise ValueError(f"{READER}: {path} has the suffix {path.suffix!r}, expected one of {', '.join(TEXTS)}")
    return [path]


def read_docs(file: Path, nlp: Language) -> Iterator[Doc]:
    """Yield the texts of a file as docs without annotation. Raises a ValueError if there are none."""
    is_empty = True
    for doc in TEXTS[file.suffix](file, nlp):
        is_empty = False
        yield doc
    if is_empty:
        raise ValueError(f"{READER}: there is no text in {file}; fill it or leave it out")


def _from_txt(file: Path, nlp: Language) -> Iterator[Doc]:
    return (nlp.make_doc(line) for _, line in _lines(file))


def _from_jsonl(file: Path, nlp: Language) -> Iterator[Doc]:
    for number, line in _lines(file):
        try:
            entry = srsly.json_loads(line)
        except ValueError as error:
            raise ValueError(f"{READER}: {file}, line {number}: not JSON: {error}") from error
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            found = f"the keys {sorted(entry)}" if isinstance(entry, dict) else f"a {type(entry).__name__}"
            raise ValueError(f'{READER}: {file}, line {number}: expected an object with a string "text", got {found}')
        if entry["text"].strip():
            yield nlp.make_doc(entry["text"])


def _from_docbin(file: Path, nlp: Language) -> Iterator[Doc]:
    try:
        doc_bin = DocBin().from_disk(file)
    except Exception as error:
        raise ValueError(f"{READER}: {file} is no complete .spacy file: {type(error).__name__}: {error}") from error
    return (unannotated(doc, nlp.vocab) for doc in doc_bin.get_docs(nlp.vocab) if doc.text.strip())


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, stripped, each with its number from 1."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                text = (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).decode("utf8").strip()
            except UnicodeDecodeError as error:
                raise ValueError(f"{READER}: {file}, line {number}: not UTF-8: {error.reason}; convert it") from error
            if text:
                yield number, text


TEXTS: dict[str, Callable[[Path, Language], Iterator[Doc]]] = {
    ".txt": _from_txt,
    ".jsonl": _from_jsonl,
    ".spacy": _from_docbin,
}
