"""Several small corpora, and readers of them."""

from typing import Any

import spacy
from spacy.tokens import Doc
from spacy.training import Example

from spacy_mtl.origin import corpus_of
from spacy_mtl.readers.multi_corpus import make_multi_corpus_v1


def plain_reader(name: str, size: int):
    """A reader of docs that are all different, and that counts how often it was called."""

    def read(nlp):
        read.calls += 1
        for number in range(size):
            words = ["doc", str(number), "of", name]
            yield Example(Doc(nlp.vocab, words=words), Doc(nlp.vocab, words=words))

    read.calls = 0
    return read


def reader_of(sizes: dict[str, int], sampler: Any, *, corpora: dict[str, Any] | None = None, **settings: Any):
    """A MultiCorpus over plain readers, and a blank pipeline to read with."""
    sections = {
        name: {"reader": plain_reader(name, size)} | (corpora or {}).get(name, {}) for name, size in sizes.items()
    }
    return make_multi_corpus_v1(sections, sampler, **settings), spacy.blank("en")


def names_of(examples):
    return [corpus_of(eg.reference) for eg in examples]


def texts_of(examples):
    return [eg.reference.text for eg in examples]
