"""The origin of a doc, kept in its `user_data`: the name of its corpus; for gold docs, the heads that may learn from
it; for predicted docs, whether an augmenter made it.

Readers and augmenters write the origin; the component, its network and the batcher read it. It survives
`Language.update` and `evaluate`, which copy the predicted doc with its `user_data` and keep the gold doc.
"""

from collections.abc import Iterable, Sequence

from spacy.tokens import Doc

CORPUS_KEY = "spacy_mtl.corpus"
HEADS_KEY = "spacy_mtl.heads"
AUGMENTED_KEY = "spacy_mtl.augmented"


def mark(doc: Doc, corpus: str, heads: Sequence[str] | None = None) -> Doc:
    """Write the origin of a gold doc. A doc that has another origin already is copied first.

    corpus (str): The name of the corpus.
    heads (Sequence[str] | None): The heads that may learn from the doc; None for all.
    RETURNS (Doc): The doc that has this origin.
    """
    wanted = (corpus, None if heads is None else tuple(heads))
    if CORPUS_KEY in doc.user_data and (corpus_of(doc), heads_of(doc)) != wanted:
        doc = doc.copy()
    doc.user_data[CORPUS_KEY], doc.user_data[HEADS_KEY] = wanted
    return doc


def name_corpus(doc: Doc, corpus: str) -> Doc:
    """Write the corpus of a doc to predict. A doc that has another corpus already is copied first.

    corpus (str): The name of the corpus.
    RETURNS (Doc): The doc that has this corpus.
    """
    if corpus_of(doc) not in (None, corpus):
        doc = doc.copy()
    doc.user_data[CORPUS_KEY] = corpus
    return doc


def corpus_of(doc: Doc) -> str | None:
    """Return the name of the doc's corpus; None if it has none."""
    return doc.user_data.get(CORPUS_KEY)


def corpora_in(docs: Iterable[Doc]) -> list[str]:
    """Return the names of the docs' corpora in alphabetical order."""
    return sorted({name for doc in docs if (name := corpus_of(doc)) is not None})


def heads_of(doc: Doc) -> tuple[str, ...] | None:
    """Return the names of the heads that may learn from the gold doc; None for all."""
    return doc.user_data.get(HEADS_KEY)


def may_learn(head: str, doc: Doc) -> bool:
    """Whether the head may learn from the gold doc."""
    heads = heads_of(doc)
    return heads is None or head in heads


def mark_augmented(doc: Doc) -> Doc:
    """Write that an augmenter made a doc to predict, so that its words are left out of word counts.

    RETURNS (Doc): The same doc.
    """
    doc.user_data[AUGMENTED_KEY] = True
    return doc


def is_augmented(doc: Doc) -> bool:
    """Whether an augmenter made the doc."""
    return bool(doc.user_data.get(AUGMENTED_KEY, False))
