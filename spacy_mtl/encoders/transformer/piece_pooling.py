"""A torch module that runs a transformer and pools the vectors of word pieces to word vectors."""

from typing import Any, Literal, NamedTuple

import torch
import transformers
from packaging import version
from torch import Tensor, nn

PiecePoolingT = Literal["mean", "first", "last", "max"]
# The model types of Hugging Face that accept an attention mask for each pair of pieces, position ids, and vectors in
# the place of piece ids. The value says whether the positions of a text begin after the id of the padding piece.
BEHIND_PADDING = {"bert": False, "electra": False, "roberta": True, "xlm-roberta": True, "camembert": True}


class PieceInput(NamedTuple):
    """The input of the module: a `WindowBatch` as tensors.

    ids (Tensor): Ids of the pieces, (n_rows, n_positions).
    texts (Tensor): The window of each piece, 0 for padding, (n_rows, n_positions).
    positions (Tensor): Index of each piece in its window, (n_rows, n_positions).
    own_positions (Tensor): Index of each piece of an own word in `ids.flatten()`, (n_own_pieces,).
    counts (Tensor): Number of pieces of each own word, (n_own_words,).
    """

    ids: Tensor
    texts: Tensor
    positions: Tensor
    own_positions: Tensor
    counts: Tensor


def pair_mask(texts: Tensor) -> Tensor:
    """Make the attention mask with which a piece sees only pieces of its own text.

    texts (Tensor): The text of each piece, (n_rows, n_positions).
    RETURNS (Tensor): The mask in the form that transformers expects. From version 5 on it is added to the attention
        scores, (n_rows, 1, n_positions, n_positions); before, it has ones and zeros, (n_rows, n_positions,
        n_positions).
    """
    same = texts[:, :, None] == texts[:, None, :]
    if version.parse(transformers.__version__).major < 5:
        return same.long()
    mask = torch.zeros(same.shape, device=texts.device)
    return mask.masked_fill_(~same, torch.finfo(mask.dtype).min)[:, None]


class WordTransformer(nn.Module):
    """A transformer with pooling, and a trained vector for words without pieces.

    transformer (PreTrainedModel): The transformer.
    pooling (str): How to combine the vectors of a word's pieces.
    all_layers (bool): Whether to concatenate the outputs of the embedding and of all layers instead of the last layer
        alone.
    """

    def __init__(self, transformer: Any, *, pooling: PiecePoolingT, all_layers: bool) -> None:
        super().__init__()
        self.transformer = transformer
        self.pooling = pooling
        self.all_layers = all_layers
        self.no_piece = nn.Parameter(torch.zeros(self.width))

    @property
    def width(self) -> int:
        """Width of the word vectors."""
        config = self.transformer.config
        return int(config.hidden_size * (config.num_hidden_layers + 1 if self.all_layers else 1))

    @property
    def can_pack(self) -> bool:
        """Whether several texts can share a row without seeing each other (sequence packing)."""
        config = self.transformer.config
        absolute = getattr(config, "position_embedding_type", "absolute") == "absolute"
        return config.model_type in BEHIND_PADDING and absolute

    @property
    def first_position(self) -> int:
        """The position id of the first piece of a text."""
        config = self.transformer.config
        return int(config.pad_token_id) + 1 if BEHIND_PADDING.get(config.model_type, False) else 0

    @property
    def last_linear(self) -> nn.Module:
        """The last linear layer of the transformer: the output matrix of its last block."""
        matrices = [module for module in self.transformer.modules() if getattr(module, "weight", None) is not None]
        return [m for m in matrices if m.weight.dim() == 2 and not isinstance(m, nn.Embedding)][-1]

    def piece_vectors(self, ids: Tensor) -> Tensor:
        """Copy the pieces' rows of the embedding table, detached from it, so that they have a gradient of their own."""
        return self.transformer.get_input_embeddings().weight.detach()[ids].requires_grad_()

    def forward(self, X: PieceInput, vectors: Tensor | None = None) -> Tensor:
        """Run the transformer and pool its output.

        X (PieceInput): The batch.
        vectors (Tensor | None): Vectors of the pieces, (n_rows, n_positions, width); None to look them up.
        RETURNS (Tensor): Vectors of the own words, (n_own_words, width).
        """
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
