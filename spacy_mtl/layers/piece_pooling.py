"""A transformer whose output is word vectors: word pieces pooled, in torch."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

PoolingT = Literal["mean", "first", "last", "max"]


class WordTransformer(nn.Module):
    """The transformer, and the vector of words that have no piece.

    pooling (str): How the vectors of a word's pieces become one.
    all_layers (bool): Give the outputs of the embedding and of all layers side by side, not only the last.
    """

    def __init__(self, transformer: Any, *, pooling: PoolingT, all_layers: bool) -> None:
        super().__init__()
        self.transformer = transformer
        self.pooling = pooling
        self.all_layers = all_layers
        self.no_piece = nn.Parameter(torch.zeros(self.width))

    @property
    def width(self) -> int:
        """Of the word vectors."""
        config = self.transformer.config
        return int(config.hidden_size * (config.num_hidden_layers + 1 if self.all_layers else 1))

    def forward(self, ids: Tensor, mask: Tensor, places: Tensor, counts: Tensor) -> Tensor:
        """ids, mask (n_windows, n_positions); places (n_pieces,) of the words' pieces in them; counts (n_words,) of
        pieces. RETURNS: (n_words, width).
        """
        output = self.transformer(input_ids=ids, attention_mask=mask, output_hidden_states=self.all_layers)
        hidden = torch.cat(output.hidden_states, dim=-1) if self.all_layers else output.last_hidden_state
        return self._pool(hidden.flatten(0, 1).float()[places], counts)

    def _pool(self, pieces: Tensor, counts: Tensor) -> Tensor:
        ends = counts.cumsum(0)
        padded = torch.cat([pieces, self.no_piece[None]])
        if self.pooling in ("first", "last"):
            chosen = ends - counts if self.pooling == "first" else ends - 1
            return padded[chosen.masked_fill(counts == 0, len(pieces))]
        words = torch.repeat_interleave(
            torch.arange(len(counts), device=counts.device), counts, output_size=len(pieces)
        )
        empty = pieces.new_zeros(len(counts), pieces.shape[1])
        if self.pooling == "mean":
            pooled = empty.index_add(0, words, pieces) / counts.clamp(min=1)[:, None]
        else:
            index = words[:, None].expand_as(pieces)
            pooled = empty.scatter_reduce(0, index, pieces, "amax", include_self=False)
        return torch.where((counts == 0)[:, None], self.no_piece, pooled)
