"""Raw texts from files: one text a line, JSON lines, or the texts of `.spacy` files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import srsly
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from ..gold import unannotated

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def find_text_files(path: Path) -> list[Path]:
    """Return the file, or the readable files of a folder, by name."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in TEXTS and file.is_file())
        if not files:
            raise ValueError(f"the folder {path} has no files with the suffix {', '.join(TEXTS)}")
        return files
    if not path.is_file():
        raise ValueError(f"no such file or folder: {path}")
    if path.suffix not in TEXTS:
        raise ValueError(f"{path} has the suffix {path.suffix!r}, expected one of {', '.join(TEXTS)}")
    return [path]


def read_texts(file: Path, nlp: Language) -> Iterator[Doc]:
    """Yield the texts of a file as docs without annotation. Raises a ValueError if there are none."""
    is_empty = True
    for doc in TEXTS[file.suffix](file, nlp):
        is_empty = False
        yield doc
    if is_empty:
        raise ValueError(f"there is no text in {file}; fill it or leave it out")


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, stripped, each with its number from 1."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                text = (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).decode("utf8").strip()
            except UnicodeDecodeError as error:
                raise ValueError(f"{file}, line {number}: not UTF-8: {error.reason}; convert it") from error
            if text:
                yield number, text


def _from_txt(file: Path, nlp: Language) -> Iterator[Doc]:
    return (nlp.make_doc(line) for _, line in read_lines(file))


def _from_jsonl(file: Path, nlp: Language) -> Iterator[Doc]:
    for number, line in read_lines(file):
        try:
            entry = srsly.json_loads(line)
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: not JSON: {error}") from error
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            found = f"the keys {sorted(entry)}" if isinstance(entry, dict) else f"a {type(entry).__name__}"
            raise ValueError(f'{file}, line {number}: expected an object with a string "text", got {found}')
        if entry["text"].strip():
            yield nlp.make_doc(entry["text"])


def _from_docbin(file: Path, nlp: Language) -> Iterator[Doc]:
    try:
        doc_bin = DocBin().from_disk(file)
    except Exception as error:
        raise ValueError(f"{file} is no complete .spacy file: {type(error).__name__}: {error}") from error
    return (unannotated(doc, nlp.vocab) for doc in doc_bin.get_docs(nlp.vocab) if doc.text.strip())


TEXTS: dict[str, Callable[[Path, Language], Iterator[Doc]]] = {
    ".txt": _from_txt,
    ".jsonl": _from_jsonl,
    ".spacy": _from_docbin,
}
