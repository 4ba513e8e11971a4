"""Word pieces of words. Each distinct word is split once, and its pieces are kept."""

from collections.abc import Collection, Sequence
from itertools import chain
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from spacy.attrs import ORTH
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ...layers.ragged_rows import first_rows, row_ranges
from ...protocols.arrays import ArrayT

# maximum number of words that are kept, at about 100 bytes each
MAX_WORDS = 2**18


class Pieces(NamedTuple):
    """The word pieces of a batch.

    ids (Ints1d): Ids of the pieces of all docs, end to end, (n_pieces,).
    counts (Ints1d): Number of pieces of each word, (n_words,). White space has none, nor have words that the tokenizer
        drops.
    """

    ids: ArrayT
    counts: ArrayT


class PieceTable:
    """The pieces of all words seen so far. Any number of threads can read it. A copy or a pickle of it is empty.

    tokenizer (tokenizers.Tokenizer): Splits one word at a time, as if a blank came before it.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._lock = Lock()
        self._clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return PieceTable, (self.tokenizer,)

    def _clear(self) -> None:
        """Remove all words. A thread that is still reading keeps the old arrays, to which its rows belong."""
        self.rows: dict[int, int] = {}
        self.starts = np.zeros(0, dtype="int64")
        self.counts = np.zeros(0, dtype="int64")
        self.ids = np.zeros(0, dtype="int64")

    def read(self, docs: Sequence[Doc], *, max_pieces: int) -> Pieces:
        """Return the pieces of the docs.

        docs (Sequence[Doc]): The docs, of any vocabs.
        max_pieces (int): Maximum number of pieces of a word. Longer words lose their last ones.
        """
        if not docs:
            return Pieces(np.zeros(0, dtype="int64"), np.zeros(0, dtype="int64"))
        words = np.concatenate([doc.to_array(ORTH).reshape(-1) for doc in docs])
        distinct, of_token = np.unique(words, return_inverse=True)
        with self._lock:
            rows = self._find(distinct.tolist(), docs)[of_token.reshape(-1)]
            starts, counts, ids = self.starts, self.counts, self.ids
        counts = np.minimum(counts[rows], max_pieces)
        return Pieces(ids[row_ranges(starts[rows], counts)], counts)

    def _find(self, words: list[int], docs: Sequence[Doc]) -> ArrayT:
        """Return the row of each word, and add words that are missing, (n_words,)."""
        missing = [word for word in words if word not in self.rows]
        if missing:
            if len(self.rows) + len(missing) > MAX_WORDS:
                self._clear()
                missing = words
            self._add(missing, {id(doc.vocab): doc.vocab for doc in docs}.values())
        return np.array([self.rows[word] for word in words], dtype="int64")

    def _add(self, words: list[int], vocabs: Collection[Vocab]) -> None:
        # A string has the same hash in every vocab, but only the vocabs of its docs know it.
        texts = [next(vocab.strings[word] for vocab in vocabs if word in vocab.strings) for word in words]  # type: ignore[operator]
        # One by one, since the threads of encode_batch do not survive a fork, as by nlp.pipe(n_process=2).
        ids = [[] if text.isspace() else self.cut(text) for text in texts]
        counts = np.array([len(pieces) for pieces in ids], dtype="int64")
        starts = len(self.ids) + first_rows(counts)
        # New arrays, since another thread may be reading the old ones without the lock.
        self.starts = np.concatenate([self.starts, starts])
        self.counts = np.concatenate([self.counts, counts])
        self.ids = np.concatenate([self.ids, np.fromiter(chain.from_iterable(ids), dtype="int64")])
        self.rows.update(zip(words, range(len(self.rows), len(self.rows) + len(words)), strict=True))

    def cut(self, text: str) -> list[int]:
        """Return the ids of the pieces of a word."""
        ids: list[int] = self.tokenizer.encode([text], is_pretokenized=True, add_special_tokens=False).ids
        return ids
