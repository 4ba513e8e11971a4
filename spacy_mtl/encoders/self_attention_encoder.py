"""Self-attention on top of any encoder or embedding, for `spacy.Tok2Vec.v2`."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from thinc.api import Model
from thinc.types import Floats2d

from ..layers.attention import attend, plan_blocks
from ..layers.dropout import dropout
from ..layers.layer_norm import layer_norm
from ..layers.linear import linear

EncoderT = Model[list[Floats2d], list[Floats2d]]
BackpropT = Callable[[list[Floats2d]], list[Floats2d]]


def make_self_attention_encoder_v1(width: int, n_heads: int = 4, block: int = 128) -> EncoderT:
    """Build one layer of self-attention, `layer_norm(X + dropout(attention(X)))`, for the `encode` of
    `spacy.Tok2Vec.v2` (Vaswani et al. 2017, without positions). Does not need torch.

    width (int): Width of input and output vectors, a multiple of `n_heads`.
    n_heads (int): Number of attention heads.
    block (int): Maximum number of tokens of a doc in which each token attends to the whole doc. In a longer doc a token
        attends to its own block of this size and to the blocks on either side.
    """
    if n_heads < 1 or width < 1 or width % n_heads:
        raise ValueError(
            f"SelfAttentionEncoder: width is {width}; it must be a multiple of n_heads, which is {n_heads}"
        )
    if block < 1:
        raise ValueError(f"SelfAttentionEncoder: block is {block}; it must be at least 1")
    return Model(
        "self_attention_encoder",
        forward,
        init=init,
        layers=[linear(3 * width, width), linear(width, width), dropout()],
        dims={"nI": width, "nO": width},
        attrs={"n_heads": n_heads, "block": block},
    )


def forward(model: EncoderT, X: list[Floats2d], is_train: bool) -> tuple[list[Floats2d], BackpropT]:
    """RETURNS: For each doc its vectors (n_tokens, width), slices of one array, and backprop."""
    ends = np.cumsum([0, *map(len, X)]).tolist()
    if not ends[-1]:
        return X, lambda dY: dY
    project, combine, drop = model.layers
    flat = model.ops.flatten(X)
    qkv, bp_project = project(flat, is_train)
    plans = plan_blocks(np.diff(ends), size=model.attrs["block"])
    found, bp_attend = attend(qkv, plans, n_heads=model.attrs["n_heads"])
    combined, bp_combine = combine(found, is_train)
    dropped, bp_drop = drop(combined, is_train)
    Y, bp_norm = layer_norm(flat + dropped)

    def backprop(dY: list[Floats2d]) -> list[Floats2d]:
        d_sum = bp_norm(model.ops.flatten(dY))
        dX = d_sum + bp_project(bp_attend(bp_combine(bp_drop(d_sum))))
        return [dX[start:end] for start, end in pairwise(ends)]

    return [Y[start:end] for start, end in pairwise(ends)], backprop


def init(model: EncoderT, X: list[Floats2d] | None = None, Y: list[Floats2d] | None = None) -> None:
    """Draw the weights."""
    for layer in model.layers:
        layer.initialize()
