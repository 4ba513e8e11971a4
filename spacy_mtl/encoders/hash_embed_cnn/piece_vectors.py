"""Static vectors of all words, each computed from the vectors of its word pieces when the word is first seen."""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy.strings import get_string_id
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Model
from thinc.model import deserialize_attr, serialize_attr
from thinc.types import Floats2d

from ...layers.ragged_rows import first_rows
from .wordpiece import WordPiece, WordPieceSettings

FILE = "piece_vectors.msgpack"
# maximum number of words whose rows are kept, at about 150 bytes each
MAX_WORDS = 2**17


class PieceVectors:
    """A table with a vector for each word piece, and for words that have a vector of their own. The vector of any other
    word is the mean of those of its pieces. White space has zeros.

    The table never changes, and the rows of the words seen last are kept. Any number of threads can read it.

    cutter (WordPiece | None): Cuts words into pieces. The rows of the pieces come first in the table. None if empty.
    table (Floats2d): The vectors in 16 bits, (n_pieces + n_words, width).
    words (Mapping[int, int]): The row of each word that has a vector of its own, by the hash of the
        word, in lower case if the cutter converts to it.
    """

    def __init__(
        self, cutter: WordPiece | None = None, table: Any = None, words: Mapping[int, int] | None = None
    ) -> None:
        self.cutter = cutter
        self.table = np.zeros((0, 0), dtype="float16") if table is None else table
        self.words = words or {}
        self._rows: dict[int, tuple[int, ...]] = {}

    def __deepcopy__(self, memo: Any) -> "PieceVectors":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return PieceVectors.from_bytes, (self.to_bytes(),)

    def __bool__(self) -> bool:
        return self.cutter is not None

    @property
    def width(self) -> int:
        """Width of the vectors."""
        return int(self.table.shape[1])

    def read(self, keys: Any, vocabs: Collection[Vocab]) -> Floats2d:
        """Return the vectors of words, (n_words, width).

        keys (Ints1d): Hashes of the words (ORTH), (n_words,).
        vocabs (Collection[Vocab]): The vocabs that know the words.
        """
        if len(self._rows) > MAX_WORDS:
            self._rows = {}
        known, rows = self._rows, []
        for key in keys.tolist():
            if key not in known:
                known[key] = self._rows_of(_text(key, vocabs))
            rows.append(known[key])
        return self._means(rows)

    def _rows_of(self, word: str) -> tuple[int, ...]:
        assert self.cutter is not None
        own = self.words.get(word_key(word, self.cutter))
        return tuple(self.cutter.cut(word)) if own is None else (own,)

    def _means(self, rows: list[tuple[int, ...]]) -> Floats2d:
        counts = np.array([len(one) for one in rows], dtype="int64")
        means: Any = np.zeros((len(rows), self.width), dtype="float32")
        filled = counts > 0
        if filled.any():
            vectors = self.table[np.fromiter(chain.from_iterable(rows), dtype="int64")].astype("float32")
            means[filled] = np.add.reduceat(vectors, first_rows(counts)[filled]) / counts[filled, None]
        return means

    def to_bytes(self) -> bytes:
        """Serialise table, tokenizer and words."""
        if self.cutter is None:
            return b""
        msg = {
            "tokenizer": self.cutter.settings._asdict(),
            "width": self.width,
            "table": self.table.astype("<f2").tobytes(),
            "words": np.array(list(self.words.items()), dtype="uint64").reshape(-1, 2).astype("<u8").tobytes(),
        }
        return bytes(srsly.msgpack_dumps(msg))

    @classmethod
    def from_bytes(cls, data: bytes) -> "PieceVectors":
        """Load the result of `to_bytes`."""
        if not data:
            return cls()
        msg = srsly.msgpack_loads(data)
        table = np.frombuffer(msg["table"], dtype="<f2").reshape(-1, msg["width"])
        words = dict(np.frombuffer(msg["words"], dtype="<u8").reshape(-1, 2).tolist())
        return cls(WordPiece(WordPieceSettings(**msg["tokenizer"])), table, words)

    @classmethod
    def from_disk(cls, folder: Path) -> "PieceVectors":
        """Load what `python -m spacy mtl vectors --pieces` wrote. Raises a ValueError if there is no such file."""
        path = folder / FILE
        if not path.is_file():
            raise ValueError(
                f"HashEmbedCNN: piece_vectors is {str(folder)!r}, where there is no {FILE}; make it with: "
                f"python -m spacy mtl vectors TEACHER --pieces --output {folder}"
            )
        return cls.from_bytes(path.read_bytes())


@serialize_attr.register
def _(attr: PieceVectors, value: PieceVectors, name: str, model: Model[Any, Any]) -> bytes:
    # Wrapped in msgpack, since a model without this attribute that loads the weights reads msgpack.
    return bytes(srsly.msgpack_dumps(value.to_bytes()))


@deserialize_attr.register
def _(attr: PieceVectors, value: bytes, name: str, model: Model[Any, Any]) -> PieceVectors:
    return PieceVectors.from_bytes(srsly.msgpack_loads(value))


def word_key(word: str, cutter: WordPiece) -> int:
    """Return the hash by which a word's own vector is found."""
    return int(get_string_id(word.lower() if cutter.settings.lowercase else word))


def vocabs_of(docs: Sequence[Doc]) -> Collection[Vocab]:
    """Return the vocabs of the docs, each once."""
    return {id(doc.vocab): doc.vocab for doc in docs}.values()


def _text(key: int, vocabs: Collection[Vocab]) -> str:
    # A string has the same hash in every vocab, but only the vocabs of its docs know it. 0 is the empty string.
    return str(next(vocab.strings[key] for vocab in vocabs if key in vocab.strings)) if key else ""  # type: ignore[operator]
