"""Docs at certain places of a `.spacy` file, without building the others."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from srsly import msgpack_decoders


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
    with quick_messages():
        return list(docs.get_docs(vocab))


def count_docs(path: Path) -> int:
    """The number of docs in a file."""
    return len(DocBin().from_disk(path))


@contextmanager
def quick_messages() -> Iterator[None]:
    """Make reading of docs with span groups fast. For each group srsly collects its decoders anew, from all registries
    and the entry points of all installed packages; here it does so once.
    """
    found = msgpack_decoders.get_all()
    instance = vars(msgpack_decoders)
    instance["get_all"] = lambda: found
    try:
        yield
    finally:
        del instance["get_all"]
