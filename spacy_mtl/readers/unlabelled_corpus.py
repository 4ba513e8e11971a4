"""Read raw text as a corpus of examples without gold, or with classes that are known of every text."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.training import Example

from ..config_mappings import read_mapping
from .raw_texts import TEXTS, find_text_files, read_texts

READER = "spacy_mtl.UnlabelledCorpus.v1"


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
        try:
            docs = (doc for file in find_text_files(self.path) for doc in read_texts(file, nlp))
            for doc in islice(docs, self.limit or None):
                reference = doc.copy()
                reference.cats = dict(self.cats)
                yield Example(doc, reference)
        except ValueError as error:
            raise ValueError(f"{READER}: {error}") from error
