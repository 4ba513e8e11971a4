"""Corpora as they stand on a command line: `news=corpus/news:slots,topic`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

# NAME=PATH[:HEADS[:DEV_HEADS]]; a path may begin with the letter of a drive
SPEC = re.compile(r"(?P<name>[^=:]+)=(?P<path>(?:[A-Za-z]:(?=[\\/]))?[^:]+)(?::(?P<heads>[^:]*))?(?::(?P<dev>[^:]*))?")
SUFFIX = ".spacy"


@dataclass(frozen=True)
class CorpusSpec:
    """A corpus.

    path (str): A folder with train.spacy and dev.spacy, or a `.spacy` file to train on alone.
    heads (tuple[str, ...]): The heads that learn from it; empty for those that find gold in it.
    dev_heads (tuple[str, ...]): The heads that are scored on it, if these are others.
    text (str): What stood on the command line.
    """

    name: str
    path: str
    heads: tuple[str, ...]
    dev_heads: tuple[str, ...]
    text: str = ""

    @property
    def folder(self) -> str:
        """The folder of its files."""
        return str(PurePath(self.path).parent) if self.path.endswith(SUFFIX) else self.path

    @property
    def train_file(self) -> str:
        """Name of the file to train on, in the folder."""
        return PurePath(self.path).name if self.path.endswith(SUFFIX) else f"train{SUFFIX}"

    @property
    def dev_file(self) -> str | None:
        """Name of the file to evaluate on, if there is one."""
        return None if self.path.endswith(SUFFIX) else f"dev{SUFFIX}"


def read_corpus(text: str) -> CorpusSpec:
    """Read NAME=PATH, NAME=PATH:HEADS or NAME=PATH:HEADS:DEV_HEADS, with heads that are separated by commas."""
    found = SPEC.fullmatch(text)
    if found is None or re.search(r"[./]", found["name"]):
        raise ValueError(
            f"--corpus {text}: expected NAME=PATH or NAME=PATH:HEADS, as in news=corpus/news:slots,topic, with no dot "
            "or slash in the name"
        )
    heads, dev = (tuple(filter(None, (part or "").split(","))) for part in (found["heads"], found["dev"]))
    return CorpusSpec(found["name"], found["path"].rstrip("/\\"), heads, dev or heads, text)


def read_corpora(texts: Sequence[str], heads: Sequence[str]) -> list[CorpusSpec]:
    """Read all corpora. Raise a ValueError if two have one name, or if one names a head that does not exist."""
    corpora = [read_corpus(text) for text in texts]
    names = [corpus.name for corpus in corpora]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"--corpus: two corpora have the name {twice[0]!r}; rename one of them")
    for corpus in corpora:
        unknown = [name for name in (*corpus.heads, *corpus.dev_heads) if name not in heads]
        if unknown:
            raise ValueError(
                f"--corpus {corpus.text}: there is no head {unknown[0]!r}; the heads are "
                f"{', '.join(heads) or 'not given, so add --head'}"
            )
    return corpora
