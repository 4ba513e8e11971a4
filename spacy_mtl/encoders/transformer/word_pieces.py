"""Words to word pieces. Each distinct word is cut once, and kept."""

from collections.abc import Sequence
from itertools import chain
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from spacy.attrs import ORTH
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ...layers.ragged_rows import first_rows, row_ranges
from ...protocols.arrays import ArrayT

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
    """The pieces of all words seen so far, for any number of threads. A copy or a pickle of it is empty.

    tokenizer (tokenizers.Tokenizer): Cuts one word at a time, as if it stood after a blank.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._lock = Lock()
        self._clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return PieceTable, (self.tokenizer,)

    def _clear(self) -> None:
        """Forget all words. A thread that still reads keeps the arrays that its rows belong to."""
        self.rows: dict[int, int] = {}
        self.starts = np.zeros(0, dtype="int64")
        self.counts = np.zeros(0, dtype="int64")
        self.ids = np.zeros(0, dtype="int64")

    def read(self, docs: Sequence[Doc], *, max_pieces: int) -> Pieces:
        """The pieces of the docs.

        max_pieces (int): A word that has more loses its last ones.
        """
        if not docs:
            return Pieces(np.zeros(0, dtype="int64"), np.zeros(0, dtype="int64"))
        words = np.concatenate([doc.to_array(ORTH).reshape(-1) for doc in docs])
        distinct, of_token = np.unique(words, return_inverse=True)
        with self._lock:
            rows = self._find(distinct.tolist(), docs[0].vocab)[of_token.reshape(-1)]
            starts, counts, ids = self.starts, self.counts, self.ids
        counts = np.minimum(counts[rows], max_pieces)
        return Pieces(ids[row_ranges(starts[rows], counts)], counts)

    def _find(self, words: list[int], vocab: Vocab) -> ArrayT:
        """RETURNS: The row of each word."""
        missing = [word for word in words if word not in self.rows]
        if missing:
            if len(self.rows) + len(missing) > MAX_WORDS:
                self._clear()
                missing = words
            self._add(missing, vocab)
        return np.array([self.rows[word] for word in words], dtype="int64")

    def _add(self, words: list[int], vocab: Vocab) -> None:
        texts = [vocab.strings[word] for word in words]
        # one by one: the threads of encode_batch would be lost in a fork, as by nlp.pipe(n_process=2)
        ids = [[] if text.isspace() else self._cut(text) for text in texts]
        counts = np.array([len(pieces) for pieces in ids], dtype="int64")
        starts = len(self.ids) + first_rows(counts)
        # New arrays, as another thread may be reading the old ones without the lock.
        self.starts = np.concatenate([self.starts, starts])
        self.counts = np.concatenate([self.counts, counts])
        self.ids = np.concatenate([self.ids, np.fromiter(chain.from_iterable(ids), dtype="int64")])
        self.rows.update(zip(words, range(len(self.rows), len(self.rows) + len(words)), strict=True))

    def _cut(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode([text], is_pretokenized=True, add_special_tokens=False).ids
        return ids
