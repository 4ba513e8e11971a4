"""The gold docs as they stand in the files of a corpus, before its reader has changed or dropped anything."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from spacy.language import Language
from spacy.training import Example
from spacy.util import minibatch

from ..protocols.head import Head
from ..readers.corpus import read_docs
from ..readers.source import Source
from .counts import Stored

CHUNK = 500
# Settings by which readers split docs or leave them out.
SETTINGS = ("gold_preproc", "max_length")


@runtime_checkable
class ReadsGoldFiles(Protocol):
    """A reader of gold docs in `.spacy` files, such as `spacy.Corpus.v1` and `spacy_mtl.Corpus.v1`.

    path (Path): A `.spacy` file, or a folder of them.
    max_length (int): Length from which docs are split or left out; 0 for none.
    limit (int): Maximum number of docs; 0 for all.
    augmenter (Callable): Changes or adds examples.
    """

    path: Path
    max_length: int
    limit: int
    augmenter: Callable[..., Any]


def count_stored(source: Source, nlp: Language, heads: Mapping[str, Head]) -> Stored | None:
    """Count what is in the files of a corpus, with its heads and label map, without its augmenter. None if its reader
    does not read gold from `.spacy` files.
    """
    reader = source.reader
    if not isinstance(reader, ReadsGoldFiles):
        return None
    docs = read_docs(Path(reader.path), nlp.vocab)
    limits = [limit for limit in (source.limit, reader.limit) if limit]
    stored = Stored(settings={name: int(value) for name in SETTINGS if (value := getattr(reader, name, 0))})

    def read(nlp: Language) -> Iterator[Example]:
        return (Example(doc, doc) for doc in islice(docs, min(limits, default=None)))

    for chunk in map(list, minibatch(replace(source, reader=read, augmenter=None, limit=0)(nlp), CHUNK)):
        stored.add(chunk, heads)
    stored.beyond_limit = sum(1 for _ in docs)
    return stored
