"""The docs of corpora, read to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..readers.corpus import Corpus
from ..readers.source import Source
from .request import Request

# the name of the corpus if there is only one
ONLY = ""


@dataclass(frozen=True)
class CorpusDocs:
    """The examples of a corpus. Their docs carry its name.

    train_path, dev_path (str): The files, for messages.
    """

    name: str
    train: list[Example]
    dev: list[Example] = field(default_factory=list)
    train_path: str = ""
    dev_path: str = ""

    @property
    def docs(self) -> list[Doc]:
        """The gold docs of train."""
        return [eg.reference for eg in self.train]

    @property
    def n_words(self) -> int:
        """Tokens of train."""
        return sum(len(eg.reference) for eg in self.train)

    @property
    def title(self) -> str:
        """The corpus or its file, for messages."""
        return f"corpus {self.name!r}" if self.name else self.train_path


def read_corpora_docs(request: Request) -> list[CorpusDocs]:
    """Read all corpora. Raise a ValueError that names a file that is missing, broken or empty."""
    nlp = spacy.blank(request.lang)
    if request.data is not None:
        return [_read(nlp, ONLY, *request.data)]
    found = []
    for spec in request.corpora:
        folder = Path(spec.folder)
        dev = folder / spec.dev_file if spec.dev_file is not None else None
        found.append(_read(nlp, spec.name, folder / spec.train_file, dev))
    return found


def _read(nlp: Language, name: str, train: Path, dev: Path | None) -> CorpusDocs:
    for path in filter(None, (train, dev)):
        if path.suffix != ".spacy" and not path.is_dir():
            raise ValueError(f"{path} is no .spacy file; make one with: python -m spacy mtl convert {path} OUTPUT")
        if not path.exists():
            raise ValueError(f"there is no file {path}")
    examples = [[] if path is None else list(Source(name, Corpus(path))(nlp)) for path in (train, dev)]
    return CorpusDocs(name, examples[0], examples[1], str(train), str(dev or ""))


def all_docs(corpora: Sequence[CorpusDocs]) -> list[Doc]:
    """The gold docs of several train sets, one after the other."""
    return [doc for corpus in corpora for doc in corpus.docs]
