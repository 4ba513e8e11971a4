"""Texts made from gold docs: entities swapped, templates cut and joined, words dropped. Teachers then label them."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from ..augmenters.swap_entities import Value, read_value, swap
from ..gold import unannotated

# Rate at which words outside entities are dropped in every other text.
DROP = 0.1
# Attempts for each text that is asked for, after which there are no new ones.
ATTEMPTS = 20


class Cut(NamedTuple):
    """The rest of a doc from an entity on. words, spaces: Of its tokens."""

    words: tuple[str, ...]
    spaces: tuple[bool, ...]


class AugmentedTexts:
    """Makes new texts. The same seed and docs give the same texts."""

    def __init__(self, docs: Sequence[Doc], *, seed: int) -> None:
        """docs (Sequence[Doc]): Gold docs, those with entities in `doc.ents`."""
        self.docs = [doc for doc in docs if len(doc)]
        self.seed = seed
        self.values: dict[str, list[Value]] = {}
        self.rests: dict[str, list[Cut]] = {}
        for doc in self.docs:
            for ent in doc.ents:
                self.values.setdefault(ent.label_, []).append(read_value(ent))
                self.rests.setdefault(ent.label_, []).append(rest_of(doc, ent))

    def make(self, n_texts: int, vocab: Vocab) -> Iterator[Doc]:
        """Yield texts without annotation that are new: neither gold nor made before. There may be fewer than asked for
        if the gold has few docs.
        """
        rng = random.Random(self.seed)
        seen = {tuple(token.text for token in doc) for doc in self.docs}
        n_made = 0
        for _ in range(n_texts * ATTEMPTS if self.docs else 0):
            if n_made == n_texts:
                return
            doc = self._make_one(rng, vocab)
            words = tuple(token.text for token in doc)
            if words in seen or not doc.text.strip():
                continue
            seen.add(words)
            n_made += 1
            yield doc

    def _make_one(self, rng: random.Random, vocab: Vocab) -> Doc:
        doc = rng.choice(self.docs)
        if doc.ents:
            chosen = [(ent, rng.choice(self.values[ent.label_])) for ent in doc.ents]
            doc = swap(doc, chosen)
        if doc.ents and rng.random() < 0.5:
            doc = self._join(doc, rng, vocab)
        elif rng.random() < 0.5 or not doc.ents:
            doc = drop_words(doc, rng, vocab)
        return unannotated(doc, vocab)

    def _join(self, doc: Doc, rng: random.Random, vocab: Vocab) -> Doc:
        """Go on from one of its entities as another doc does from an entity of the same type."""
        ent = rng.choice(doc.ents)
        rest = rng.choice(self.rests[ent.label_])
        words = [*(token.text for token in doc[: ent.start]), *rest.words]
        spaces = [*(bool(token.whitespace_) for token in doc[: ent.start]), *rest.spaces]
        return Doc(vocab, words=words, spaces=spaces)


def rest_of(doc: Doc, ent: Span) -> Cut:
    """Cut a doc before an entity."""
    tokens = doc[ent.start :]
    return Cut(tuple(token.text for token in tokens), tuple(bool(token.whitespace_) for token in tokens))


def drop_words(doc: Doc, rng: random.Random, vocab: Vocab) -> Doc:
    """Leave out some of the words that are in no entity."""
    kept = [token for token in doc if token.ent_type_ or rng.random() >= DROP]
    return Doc(vocab, words=[token.text for token in kept], spaces=[bool(token.whitespace_) for token in kept])
