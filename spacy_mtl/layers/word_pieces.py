"""Words to word pieces. Each distinct word is cut once, and kept."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy
from spacy.attrs import ORTH
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..types import ArrayT
from .ranges import ranges

# words that are kept; at about 100 bytes each
MAX_WORDS = 2**18


class Pieces(NamedTuple):
    """The word pieces of a batch.

    ids (Ints1d): Of all docs end to end, (n_pieces,).
    counts (Ints1d): How many pieces each word has, (n_words,). White space has none, nor has what the tokenizer drops.
    """

    ids: ArrayT
    counts: ArrayT


class PieceTable:
    """The pieces of all words seen so far. A copy or a pickle of it is empty.

    tokenizer (tokenizers.Tokenizer): Cuts one word at a time, as if it stood after a blank.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.clear()

    def clear(self) -> None:
        """Forget all words."""
        self.rows: dict[int, int] = {}
        self.starts = numpy.zeros(0, dtype="int64")
        self.counts = numpy.zeros(0, dtype="int64")
        self.ids = numpy.zeros(0, dtype="int64")

    def read(self, docs: Sequence[Doc], *, max_pieces: int) -> Pieces:
        """The pieces of the docs.

        max_pieces (int): A word that has more loses its last ones.
        """
        if not docs:
            return Pieces(self.ids[:0], self.counts[:0])
        words = numpy.concatenate([doc.to_array(ORTH).reshape(-1) for doc in docs])
        distinct, of_token = numpy.unique(words, return_inverse=True)
        rows = self._find(distinct.tolist(), docs[0].vocab)[of_token.reshape(-1)]
        counts = numpy.minimum(self.counts[rows], max_pieces)
        return Pieces(self.ids[ranges(self.starts[rows], counts)], counts)

    def _find(self, words: list[int], vocab: Vocab) -> ArrayT:
        """RETURNS: the row of each word."""
        missing = [word for word in words if word not in self.rows]
        if missing:
            if len(self.rows) + len(missing) > MAX_WORDS:
                self.clear()
                missing = words
            self._add(missing, vocab)
        return numpy.array([self.rows[word] for word in words], dtype="int64")

    def _add(self, words: list[int], vocab: Vocab) -> None:
        texts = [vocab.strings[word] for word in words]
        # one by one: the threads of encode_batch would be lost in a fork, as by nlp.pipe(n_process=2)
        ids = [[] if text.isspace() else self._cut(text) for text in texts]
        counts = numpy.array([len(pieces) for pieces in ids], dtype="int64")
        starts = len(self.ids) + numpy.cumsum(counts) - counts
        self.rows.update(zip(words, range(len(self.rows), len(self.rows) + len(words)), strict=True))
        self.starts = numpy.concatenate([self.starts, starts])
        self.counts = numpy.concatenate([self.counts, counts])
        self.ids = numpy.concatenate([self.ids, numpy.fromiter(chain.from_iterable(ids), dtype="int64")])

    def _cut(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode([text], is_pretokenized=True, add_special_tokens=False).ids
        return ids
