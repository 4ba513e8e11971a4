"""A bidirectional LSTM over docs that lie end to end: no padding is computed, and no doc is visited in Python."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.rnn import PackedSequence


class Packing(NamedTuple):
    """How torch wants sequences: all first tokens, the longest doc's first, then all second tokens, and so on.

    rows (NDArray[np.int64]): The token of the batch at each place, (n_tokens,). batch_sizes: how many docs have a first
    token, a second, ..., (longest,).
    """

    rows: NDArray[np.int64]
    batch_sizes: NDArray[np.int64]


def pack(lengths: NDArray[np.int64]) -> Packing:
    """The order of the tokens of docs of these lengths; at least one is not 0."""
    order = np.argsort(-lengths, kind="stable")
    starts = (np.cumsum(lengths) - lengths)[order]
    batch_sizes = np.searchsorted(-lengths[order], -np.arange(lengths.max()), side="left")
    first_places = np.cumsum(batch_sizes) - batch_sizes
    steps = np.repeat(np.arange(len(batch_sizes)), batch_sizes)
    ranks = np.arange(len(steps)) - np.repeat(first_places, batch_sizes)
    return Packing(starts[ranks] + steps, batch_sizes)


class BiLSTM(nn.Module):
    """(n_tokens, n_in) -> (n_tokens, width): half of the width from each direction."""

    def __init__(self, n_in: int, width: int, depth: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_in, width // 2, num_layers=depth, bidirectional=True)

    def forward(self, X: torch.Tensor, rows: torch.Tensor, batch_sizes: torch.Tensor) -> torch.Tensor:
        """X in the order of the docs; `rows` and `batch_sizes` as in `Packing`, the latter on the CPU."""
        packed: Any = self.lstm(PackedSequence(X[rows], batch_sizes))[0]
        return torch.empty_like(packed.data).index_copy(0, rows, packed.data)
