"""The tokens of a split as arrays, from which single docs are built when they are looked at."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ORTH, SPACY
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..arrays_file import from_bytes, load_arrays, save_arrays, to_bytes


def save_docs(folder: Path, split: str, docs: Sequence[Doc]) -> None:
    """Write the tokens of the docs to `tokens-SPLIT.npz` in the folder of a run."""
    rows = np.concatenate([np.zeros((0, 2), dtype="uint64"), *(doc.to_array([ORTH, SPACY]) for doc in docs)])
    codes, words = np.unique(rows[:, 0], return_inverse=True)
    strings: Any = docs[0].vocab.strings if len(docs) else None
    arrays = {
        "lengths": np.array([len(doc) for doc in docs], dtype="int64"),
        "words": words,
        "spaces": rows[:, 1] > 0,
        "vocabulary": to_bytes([strings[code] for code in codes.tolist()]),
    }
    save_arrays(docs_path(folder, split), arrays)


def load_docs(folder: Path, split: str, vocab: Vocab) -> "StoredDocs | None":
    """Read what `save_docs` wrote; None if there is nothing."""
    path = docs_path(folder, split)
    if not path.exists():
        return None
    arrays = load_arrays(path)
    return StoredDocs(arrays["lengths"], arrays["words"], arrays["spaces"], from_bytes(arrays["vocabulary"]), vocab)


def docs_path(folder: Path, split: str) -> Path:
    """The file that holds them."""
    return folder / f"tokens-{split}.npz"


class StoredDocs(Sequence[Doc]):
    """Docs without annotation. Each is built when it is asked for, and not kept.

    lengths (NDArray[np.int64]): Number of tokens of each doc, (n_docs,).
    """

    def __init__(
        self,
        lengths: NDArray[np.int64],
        words: NDArray[np.int64],
        spaces: NDArray[np.bool_],
        vocabulary: Sequence[str],
        vocab: Vocab,
    ) -> None:
        """words (NDArray[np.int64]): Index in `vocabulary` of each token, doc after doc, (n_tokens,).
        spaces (NDArray[np.bool_]): Whether the token is followed by a space, (n_tokens,).
        vocab (Vocab): That of the docs.
        """
        self.lengths = lengths
        self._ends = np.cumsum(lengths, dtype="int64")
        self._words = words
        self._spaces = spaces
        self._vocabulary = vocabulary
        self._vocab = vocab

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, place: int) -> Doc: ...

    @overload
    def __getitem__(self, place: slice) -> list[Doc]: ...

    def __getitem__(self, place: int | slice) -> Doc | list[Doc]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        end = int(self._ends[place])
        tokens = slice(end - int(self.lengths[place]), end)
        words = [self._vocabulary[word] for word in self._words[tokens].tolist()]
        return Doc(self._vocab, words=words, spaces=self._spaces[tokens].tolist())

    def __iter__(self) -> Iterator[Doc]:
        return (self[place] for place in range(len(self)))
