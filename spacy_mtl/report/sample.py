"""Docs at certain places of a `.spacy` file, without building the others."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab


def evenly(n_docs: int, limit: int) -> list[int]:
    """At most `limit` places, evenly spread over all, the same each time."""
    if n_docs <= limit:
        return list(range(n_docs))
    places: list[int] = (np.arange(limit) * n_docs // limit).tolist()
    return places


def read_docs_at(path: Path, places: Sequence[int], vocab: Vocab) -> list[Doc]:
    """Build the docs at these places. A doc takes thirty times as long to build as to leave out."""
    docs = DocBin().from_disk(path)
    for name in ("tokens", "spaces", "cats", "flags", "span_groups"):
        column = getattr(docs, name)
        setattr(docs, name, [column[place] for place in places])
    return list(docs.get_docs(vocab))


def count_docs(path: Path) -> int:
    """The number of docs in a file."""
    return len(DocBin().from_disk(path))
