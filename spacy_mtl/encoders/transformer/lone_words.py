"""Vectors of words without context: each word alone goes through the transformer."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from thinc.compat import torch

from ...protocols.arrays import ArrayT, Tok2VecT
from .transformer_encoder import memory_error, plan_piece_batches, to_torch
from .word_pieces import Pieces

CHUNK = 4096


class LoneWords:
    """A transformer that reads words one at a time. The vector of a word is the mean of those of its pieces in the last
    layer; special pieces and padding are left out.

    model (Model): A `TransformerEncoder` with its weights, of which pooling and layers are set here.
    """

    def __init__(self, model: Tok2VecT) -> None:
        self.model = model
        shim: Any = model.shims[0]
        shim.module.pooling, shim.module.all_layers = "mean", False
        self.shim = shim

    @property
    def width(self) -> int:
        """Width of the vectors."""
        return int(self.shim.module.width)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, of the package tokenizers."""
        return self.shim.pieces.tokenizer

    def cut(self, word: str) -> list[int]:
        """Return the ids of the word's pieces, as many as the transformer can read."""
        ids: list[int] = self.shim.pieces.cut(word)
        return ids[: self.shim.room]

    def read(self, words: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], ArrayT]]:
        """Compute the vectors of words in chunks, words with the fewest pieces first.

        words (Sequence[Sequence[int]]): The ids of each word's pieces, at least one.
        YIELDS (tuple[list[int], Floats2d]): Indices of some words, and their vectors, (n_words, width).
        """
        order = sorted(range(len(words)), key=lambda index: len(words[index]))
        for start in range(0, len(order), CHUNK):
            chunk = order[start : start + CHUNK]
            yield chunk, self._read([words[index] for index in chunk])

    def _read(self, words: Sequence[Sequence[int]]) -> ArrayT:
        counts = np.array([len(ids) for ids in words], dtype="int64")
        pieces = Pieces(np.fromiter(chain.from_iterable(words), dtype="int64"), counts)
        vectors = torch.zeros(len(words), self.width, device=self.shim.device)
        for batch in plan_piece_batches(self.model, [1] * len(words), pieces):
            inputs, rows = to_torch(batch, self.shim.device)
            with memory_error(batch, self.model):
                vectors[rows] = self.shim.read(inputs, is_train=False).output
        return vectors.cpu().numpy()
