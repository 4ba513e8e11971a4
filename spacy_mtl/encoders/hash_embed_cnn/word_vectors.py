"""The encoder's embedding stage, once for each distinct word of a batch: the function of spaCy's `MultiHashEmbed`."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from spacy.attrs import LEMMA, LOWER, NORM, ORTH, intify_attr
from spacy.tokens import Doc
from spacy.vectors import Mode, Vectors
from spacy.vocab import Vocab
from thinc.api import NumpyOps

from ...protocols.arrays import ArrayT
from .kernels import IndexT, Kernels
from .maxout_block import Block, BlockWeights, GradsT, NodeT, begin_maxout_norm, maxout_norm, weight_grads
from .tap_products import direct_products

NUMPY_OPS = NumpyOps()
# the attributes that say which word it is; the others, such as SHAPE and SUFFIX, are shared by many words
IDENTITY = (ORTH, LOWER, NORM, LEMMA)
# an odd number without pattern, to make one 64-bit hash of the hashes of a word's features
MIXER = np.uint64(0x9E3779B97F4A7C15)


class Embedding(NamedTuple):
    """The nodes of the embedding stage.

    extract (Model): Says which attributes of a token are its features.
    tables (list[Model]): One hash embedding a feature.
    static (Model | None): The projection of static vectors, if there are any.
    mix (Block): The maxout that makes one vector of them all.
    """

    extract: NodeT
    tables: list[NodeT]
    static: NodeT | None
    mix: Block

    @property
    def n_taps(self) -> int:
        """How many vectors are mixed."""
        return len(self.tables) + (self.static is not None)

    @property
    def hashed(self) -> list[int]:
        """The ids of the attributes that the tables embed."""
        return [intify_attr(column) for column in self.extract.attrs["columns"]]

    def columns(self, vocab: Vocab) -> list[int]:
        """The ids of the features' attributes, and last that of the key of the static vector if there are any."""
        return self.hashed if self.static is None else [*self.hashed, getattr(vocab.vectors, "attr", ORTH)]


class Words(NamedTuple):
    """The distinct words of a batch.

    features (Ints2d): (n_words, n_features), and in a last column the key of the static vector if there are any.
    keys (Ints1d): One hash of all features, (n_words,).
    of_token (Ints1d): Which word each token is, (n_tokens,).
    """

    features: Any
    keys: Any
    of_token: Any


class TableGrad(NamedTuple):
    """The gradient of a few rows of a hash embedding's table: that of each word (n_words, width) counts in each of its
    rows (n_words, 4).
    """

    node: NodeT
    d_vectors: ArrayT
    rows: IndexT


def distinct_words(docs: Sequence[Doc], columns: Sequence[int]) -> Words:
    """Words differ if a feature does, so a token whose own NORM is set differs from others of its lexeme.

    columns (Sequence[int]): As from `Embedding.columns`.
    """
    features = np.concatenate([doc.to_array(list(columns)).reshape(len(doc), -1) for doc in docs])
    keys = features[:, 0]
    for column in range(1, features.shape[1]):
        keys = (keys * MIXER) ^ features[:, column]
    keys, first, of_token = np.unique(keys, return_index=True, return_inverse=True)
    return Words(features[first], keys, of_token.reshape(-1))


def embed(features: Any, embedding: Embedding, weights: BlockWeights, vocab: Vocab, kernels: Kernels) -> ArrayT:
    """Prediction: features (n_words, n_features) -> (n_words, width)."""
    vectors = [_hash_embed(node, features[:, i], kernels)[0] for i, node in enumerate(embedding.tables)]
    if embedding.static is not None:
        vectors.append(_static_embed(embedding.static, features[:, -1], vocab, kernels)[0])
    Y, _ = direct_products(_side_by_side(vectors, kernels), weights.taps, weights.bias, kernels=kernels)
    return maxout_norm(Y, weights, kernels=kernels)


def begin_embed(
    features: Any, embedding: Embedding, weights: BlockWeights, vocab: Vocab, kernels: Kernels
) -> tuple[ArrayT, Callable[[ArrayT], tuple[GradsT, list[TableGrad]]]]:
    """Training: (n_words, width), before the dropout of the mix, and the backprop to the parameters."""
    looked_up = [_hash_embed(node, features[:, i], kernels) for i, node in enumerate(embedding.tables)]
    vectors, rows = [v for v, _ in looked_up], [r for _, r in looked_up]
    masks = [_mask_dimensions(v, node, kernels) for v, node in zip(vectors, embedding.tables, strict=True)]
    if embedding.static is not None:
        static_vectors, V = _static_embed(embedding.static, features[:, -1], vocab, kernels)
        vectors.append(static_vectors)
        masks.append(_mask_dimensions(static_vectors, embedding.static, kernels))
    X = _side_by_side(vectors, kernels)
    Y, backprop_products = direct_products(X, weights.taps, weights.bias, kernels=kernels)
    H, backprop_norm = begin_maxout_norm(Y, weights, kernels=kernels)

    def backprop(dH: ArrayT) -> tuple[GradsT, list[TableGrad]]:
        dY, d_gain, d_shift = backprop_norm(dH)
        dX, d_taps, d_bias = backprop_products(dY)
        d_vectors = [dX[:, i] if mask is None else dX[:, i] * mask for i, mask in enumerate(masks)]
        d_weights = BlockWeights(d_taps, d_bias, d_gain, d_shift)
        grads = weight_grads(embedding.mix, d_weights, winograd=False, kernels=kernels)
        if embedding.static is not None:
            # As in spaCy's layer, a word without a vector counts here with the table's last one.
            grads.append((embedding.static, "W", kernels.unshare(d_vectors[-1].T @ V)))
        return grads, [TableGrad(*grad) for grad in zip(embedding.tables, d_vectors, rows, strict=False)]

    return H, backprop


def _side_by_side(vectors: Sequence[ArrayT], kernels: Kernels) -> ArrayT:
    """(n_words, width) each -> (n_words, n_vectors, width)."""
    X = kernels.empty(len(vectors[0]), len(vectors), vectors[0].shape[1])
    for i, v in enumerate(vectors):
        X[:, i] = v
    return X


def _mask_dimensions(vectors: ArrayT, node: NodeT, kernels: Kernels) -> ArrayT | None:
    """Drop the same dimensions of all words, as spaCy's embeddings do."""
    rate = node.attrs.get("dropout_rate")
    if not rate:
        return None
    mask = kernels.dropout_mask((vectors.shape[1],), rate)
    vectors *= mask
    return mask


def table_rows(ids: Any, seed: int, n_rows: int) -> Any:
    """The rows of a hash table whose sum is the vector of a feature, (n_words,) -> (n_words, 4)."""
    return NUMPY_OPS.hash(np.ascontiguousarray(ids), seed) % n_rows


def static_vectors(vectors: Any, keys: Any) -> tuple[Any, Any]:
    """RETURNS: The vectors of the vocab for the keys (n_words,), and whether each has one; None if all have."""
    if isinstance(vectors, Vectors) and vectors.mode == Mode.default:
        found = vectors.find(keys=keys)
        return vectors.data[found], found >= 0
    return vectors.get_batch(keys), None


def _hash_embed(node: NodeT, ids: Any, kernels: Kernels) -> tuple[ArrayT, IndexT]:
    """RETURNS: The words' vectors, and of which rows of the table they are the sums, (n_words, 4)."""
    table = kernels.share(node.get_param("E"))
    rows = kernels.index(table_rows(ids, node.attrs["seed"], len(table)))
    return kernels.take_sum(table, rows), rows


def _static_embed(node: NodeT, keys: Any, vocab: Vocab, kernels: Kernels) -> tuple[ArrayT, ArrayT]:
    """RETURNS: The words' projected vectors, zeros for a word that has none, and the vectors of the vocab."""
    array, found = static_vectors(vocab.vectors, keys)
    V = kernels.share(node.ops.asarray2f(array))
    Y = V @ kernels.share(node.get_param("W")).T
    if found is not None:
        Y *= kernels.share(node.ops.asarray2f(found[:, None], dtype="float32"))
    return Y, V
