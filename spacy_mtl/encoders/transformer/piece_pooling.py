"""A transformer whose output is word vectors: word pieces pooled, in torch."""

from typing import Any, Literal, NamedTuple

import torch
import transformers
from packaging import version
from torch import Tensor, nn

PiecePoolingT = Literal["mean", "first", "last", "max"]
# types of Hugging Face's models that can be told which pieces see each other (a mask for each pair), where each piece
# stands, and the vectors of the pieces; and the place that the first piece of a text has, behind the padding's or not
BEHIND_PADDING = {"bert": False, "electra": False, "roberta": True, "xlm-roberta": True, "camembert": True}


class PieceInput(NamedTuple):
    """What the transformer reads: a `WindowBatch` in torch. ids, texts, positions (n_rows, n_positions)."""

    ids: Tensor
    texts: Tensor
    positions: Tensor
    own_positions: Tensor
    counts: Tensor


def pair_mask(texts: Tensor) -> Tensor:
    """The attention mask by which pieces see those of their own text only, in the form that transformers takes: from
    version 5 on, what is added to the scores of every attention head, and before, ones and zeros.

    texts (n_rows, n_positions): The text of each piece.
    """
    same = texts[:, :, None] == texts[:, None, :]
    if version.parse(transformers.__version__).major < 5:
        return same.long()
    mask = torch.zeros(same.shape, device=texts.device)
    return mask.masked_fill_(~same, torch.finfo(mask.dtype).min)[:, None]


class WordTransformer(nn.Module):
    """The transformer, and the vector of words that have no piece.

    pooling (str): How the vectors of a word's pieces become one.
    all_layers (bool): Give the outputs of the embedding and of all layers side by side, not only the last.
    """

    def __init__(self, transformer: Any, *, pooling: PiecePoolingT, all_layers: bool) -> None:
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

    @property
    def can_pack(self) -> bool:
        """Whether several texts may stand in a row without seeing each other."""
        config = self.transformer.config
        absolute = getattr(config, "position_embedding_type", "absolute") == "absolute"
        return config.model_type in BEHIND_PADDING and absolute

    @property
    def first_position(self) -> int:
        """The position of a text's first piece."""
        config = self.transformer.config
        return int(config.pad_token_id) + 1 if BEHIND_PADDING.get(config.model_type, False) else 0

    def piece_vectors(self, ids: Tensor) -> Tensor:
        """Rows of the embedding's table, apart from it: they collect a gradient of their own."""
        return self.transformer.get_input_embeddings().weight.detach()[ids].requires_grad_()

    def forward(self, X: PieceInput, vectors: Tensor | None = None) -> Tensor:
        """vectors (n_rows, n_positions, width): Of the pieces; None to look them up. RETURNS: (n_words, width)."""
        inputs = {"input_ids": X.ids} if vectors is None else {"inputs_embeds": vectors}
        if self.can_pack:
            inputs["attention_mask"] = pair_mask(X.texts)
            inputs["position_ids"] = X.positions + self.first_position
        else:
            inputs["attention_mask"] = (X.texts > 0).long()
        output = self.transformer(**inputs, output_hidden_states=self.all_layers)
        hidden = torch.cat(output.hidden_states, dim=-1) if self.all_layers else output.last_hidden_state
        return self._pool(hidden.flatten(0, 1).float()[X.own_positions], X.counts)

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
