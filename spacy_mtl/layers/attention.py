"""Self-attention within docs that lie end to end, in blocks, so that time and memory grow with the number of tokens."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from thinc.util import get_array_module

from ..protocols.arrays import ArrayT
from .softmax import backprop_softmax, softmax

RowsT = NDArray[np.int64]
BackpropT = Callable[[ArrayT], ArrayT]
SHORTEST = 8


class Blocks(NamedTuple):
    """Tokens that are computed together; -1 where there is none.

    queries (NDArray[np.int64]): The tokens of each block, (n_blocks, n_queries).
    keys (NDArray[np.int64]): What they look at, (n_blocks, n_keys).
    """

    queries: RowsT
    keys: RowsT


def plan_blocks(lengths: RowsT, *, size: int) -> list[Blocks]:
    """A doc of at most `size` tokens is one block, together with others whose length rounds up to the same power of
    two. A longer one is cut; each block of it looks at the tokens of the blocks beside it as well.

    lengths (NDArray[np.int64]): Of the docs, (n_docs,).
    """
    starts = np.cumsum(lengths) - lengths
    rounded = np.maximum(SHORTEST, 2 ** np.ceil(np.log2(np.maximum(lengths, 1))).astype("int64"))
    whole = lengths <= size
    plans = []
    for width in np.unique(rounded[whole & (lengths > 0)]).tolist():
        chosen = np.flatnonzero(whole & (rounded == width) & (lengths > 0))
        places = np.arange(lengths[chosen].max())
        rows = np.where(places < lengths[chosen, None], starts[chosen, None] + places, -1)
        plans.append(Blocks(rows, rows))
    for doc in np.flatnonzero(~whole).tolist():
        plans.append(_cut(int(starts[doc]), int(lengths[doc]), size))
    return plans


def _cut(start: int, length: int, size: int) -> Blocks:
    """The blocks of one long doc."""
    n_blocks = math.ceil(length / size)
    rows = np.full((n_blocks + 2, size), -1)
    rows[1:-1].reshape(-1)[:length] = start + np.arange(length)
    return Blocks(rows[1:-1], np.concatenate([rows[:-2], rows[1:-1], rows[2:]], axis=1))


def attend(qkv: ArrayT, plans: list[Blocks], *, n_heads: int) -> tuple[ArrayT, BackpropT]:
    """Scaled dot-product attention (Vaswani et al. 2017, "Attention is all you need", NeurIPS).

    qkv (ArrayT): Queries, keys and values side by side, (n_tokens, 3 * width).
    RETURNS: (n_tokens, width), and backprop: dY -> d_qkv.
    """
    xp = get_array_module(qkv)
    n_tokens, width = qkv.shape[0], qkv.shape[1] // 3
    padded = xp.concatenate([qkv, xp.zeros((1, 3 * width), dtype=qkv.dtype)])
    Y = xp.empty((n_tokens + 1, width), dtype=qkv.dtype)
    backprops = []
    for blocks in plans:
        queries, keys = xp.asarray(blocks.queries), xp.asarray(blocks.keys)
        Q = _split(padded[queries, :width], n_heads)
        K, V = _split(padded[keys, width : 2 * width], n_heads), _split(padded[keys, 2 * width :], n_heads)
        found, backprop_blocks = _attend(Q, K, V, keys >= 0)
        Y[queries] = _join(found)
        backprops.append((blocks, queries, keys, backprop_blocks))

    def backprop(dY: ArrayT) -> ArrayT:
        d_padded = xp.zeros_like(padded)
        d_found = xp.concatenate([dY, xp.zeros((1, width), dtype=dY.dtype)])
        for blocks, queries, keys, backprop_blocks in backprops:
            dQ, dK, dV = (_join(part) for part in backprop_blocks(_split(d_found[queries], n_heads)))
            d_padded[queries, :width] = dQ
            d_keys = xp.concatenate([dK, dV], axis=2)
            if blocks.keys is blocks.queries:
                d_padded[keys, width:] = d_keys
            else:
                # one long doc: the middle third of the keys are the block's own, the others its neighbours'
                size = queries.shape[1]
                own = d_keys[:, size : 2 * size]
                own[:-1] += d_keys[1:, :size]
                own[1:] += d_keys[:-1, 2 * size :]
                d_padded[queries, width:] = own
        return d_padded[:n_tokens]

    return Y[:n_tokens], backprop


def _attend(
    Q: ArrayT, K: ArrayT, V: ArrayT, is_token: ArrayT
) -> tuple[ArrayT, Callable[[ArrayT], tuple[ArrayT, ArrayT, ArrayT]]]:
    """Q (n_blocks, n_heads, n_queries, d), K and V (n_blocks, n_heads, n_keys, d), is_token (n_blocks, n_keys).

    RETURNS: (n_blocks, n_heads, n_queries, d), and backprop to Q, K and V.
    """
    xp = get_array_module(Q)
    scale = Q.dtype.type(1.0 / math.sqrt(Q.shape[-1]))
    logits = (Q @ K.swapaxes(2, 3)) * scale
    logits += xp.where(is_token, 0.0, -1e9).astype(Q.dtype)[:, None, None]
    weights = softmax(logits.reshape(-1, logits.shape[-1])).reshape(logits.shape)

    def backprop(dY: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT]:
        d_weights = dY @ V.swapaxes(2, 3)
        n_keys = logits.shape[-1]
        d_logits = backprop_softmax(weights.reshape(-1, n_keys), d_weights.reshape(-1, n_keys)).reshape(logits.shape)
        d_logits *= scale
        return d_logits @ K, d_logits.swapaxes(2, 3) @ Q, weights.swapaxes(2, 3) @ dY

    return weights @ V, backprop


def _split(X: ArrayT, n_heads: int) -> ArrayT:
    """(n_blocks, n, width) -> (n_blocks, n_heads, n, width / n_heads)."""
    n_blocks, n, width = X.shape
    return X.reshape(n_blocks, n, n_heads, width // n_heads).transpose(0, 2, 1, 3)


def _join(X: ArrayT) -> ArrayT:
    """The reverse of `_split`."""
    n_blocks, n_heads, n, d = X.shape
    return X.transpose(0, 2, 1, 3).reshape(n_blocks, n, n_heads * d)
