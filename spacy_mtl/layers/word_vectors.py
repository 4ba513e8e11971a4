"""The encoder's embedding stage, once for each distinct word of a batch: hash embeddings of the word's features and its
static vector, mixed by a maxout block.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy
from spacy.attrs import ORTH, intify_attr
from spacy.tokens import Doc
from spacy.vectors import Mode, Vectors
from spacy.vocab import Vocab
from thinc.api import NumpyOps

from .kernels import ArrayT, Kernels
from .maxout_block import Block, BlockWeights, GradsT, NodeT, begin_maxout_norm, maxout_norm, weight_grads
from .tap_products import direct_products

NUMPY_OPS = NumpyOps()
# an odd number without pattern, to mix the 64-bit hashes of a word's features into one
MIXER = numpy.uint64(0x9E3779B97F4A7C15)


class Embedding(NamedTuple):
    """The nodes of spaCy's `MultiHashEmbed`.

    extract (Model): Its `FeatureExtractor`.
    tables (list[Model]): Its hash embeddings, one an attribute.
    static (Model | None): Its static vectors.
    mix (Block): The maxout that makes one vector of them all.
    """

    extract: NodeT
    tables: list[NodeT]
    static: NodeT | None
    mix: Block

    @property
    def columns(self) -> list[int]:
        """The token attributes to embed."""
        return [intify_attr(column) for column in self.extract.attrs["columns"]]

    @property
    def n_taps(self) -> int:
        """How many vectors the mix reads."""
        return len(self.tables) + (self.static is not None)


class Words(NamedTuple):
    """The distinct words of a batch.

    features (Ints2d): (n_words, n_columns), and in a last column the key of the static vector if there is one.
    keys (Ints1d): One hash of all features, (n_words,).
    of_token (Ints1d): Which word each token is, (n_tokens,).
    """

    features: Any
    keys: Any
    of_token: Any


def distinct_words(docs: Sequence[Doc], embedding: Embedding) -> Words:
    """Words differ if one of their features does: a token's own NORM counts, not its lexeme's."""
    columns = embedding.columns
    if embedding.static is not None:
        columns = [*columns, getattr(docs[0].vocab.vectors, "attr", ORTH)]
    features = numpy.concatenate([doc.to_array(columns).reshape(len(doc), -1) for doc in docs])
    keys = features[:, 0]
    for column in range(1, features.shape[1]):
        keys = (keys * MIXER) ^ features[:, column]
    keys, first, of_token = numpy.unique(keys, return_index=True, return_inverse=True)
    return Words(features[first], keys, of_token.reshape(-1))


def embed(features: Any, embedding: Embedding, weights: BlockWeights, vocab: Vocab, kernels: Kernels) -> ArrayT:
    """Prediction: features (n_words, n_columns) -> (n_words, width)."""
    D, _ = _embed_features(features, embedding, vocab, kernels, is_train=False)
    Y, _ = direct_products(D, weights.taps, weights.bias, kernels=kernels)
    return maxout_norm(Y, weights, kernels=kernels)


def begin_embed(
    features: Any, embedding: Embedding, weights: BlockWeights, vocab: Vocab, kernels: Kernels
) -> tuple[ArrayT, Callable[[ArrayT], GradsT]]:
    """Training. RETURNS: (n_words, width), before the dropout of the mix, and the backprop to the parameters."""
    D, backprop_features = _embed_features(features, embedding, vocab, kernels, is_train=True)
    Y, backprop_products = direct_products(D, weights.taps, weights.bias, kernels=kernels)
    X, backprop_norm = begin_maxout_norm(Y, weights, kernels=kernels)

    def backprop(dX: ArrayT) -> GradsT:
        dY, d_gain, d_shift = backprop_norm(dX)
        dD, d_taps, d_bias = backprop_products(dY)
        d_weights = BlockWeights(d_taps, d_bias, d_gain, d_shift)
        return [*weight_grads(embedding.mix, d_weights, minimal=False, kernels=kernels), *backprop_features(dD)]

    return X, backprop


def _embed_features(
    features: Any, embedding: Embedding, vocab: Vocab, kernels: Kernels, *, is_train: bool
) -> tuple[ArrayT, Callable[[ArrayT], GradsT]]:
    """RETURNS: The vectors of all tables, (n_words, n_tables, width), and the backprop."""
    D = kernels.empty(len(features), embedding.n_taps, embedding.mix.maxout.get_dim("nO"))
    backprops = []
    for i, node in enumerate(embedding.tables):
        D[:, i], backprop_table = _hash_embed(node, features[:, i], kernels)
        backprops.append(backprop_table)
    if embedding.static is not None:
        D[:, -1], backprop_static = _static_embed(embedding.static, features[:, -1], vocab, kernels)
        backprops.append(backprop_static)
    nodes = [*embedding.tables, *([embedding.static] if embedding.static is not None else [])]
    masks = [_mask_dimensions(D[:, i], node, kernels) if is_train else None for i, node in enumerate(nodes)]

    def backprop(dD: ArrayT) -> GradsT:
        grads: GradsT = []
        for i, (node, mask, backprop_node) in enumerate(zip(nodes, masks, backprops, strict=True)):
            d_vectors = dD[:, i] if mask is None else dD[:, i] * mask
            grads.append((node, *backprop_node(d_vectors)))
        return grads

    return D, backprop


def _mask_dimensions(vectors: ArrayT, node: NodeT, kernels: Kernels) -> ArrayT | None:
    """Drop the same dimensions for all words, as spaCy's embeddings do."""
    rate = node.attrs.get("dropout_rate") or 0.0
    if not rate:
        return None
    mask = kernels.dropout_mask((vectors.shape[1],), rate)
    vectors *= mask
    return mask


def _hash_embed(node: NodeT, ids: Any, kernels: Kernels) -> tuple[ArrayT, Callable[[ArrayT], tuple[str, Any]]]:
    table = kernels.share(node.get_param("E"))
    keys = NUMPY_OPS.hash(numpy.ascontiguousarray(ids), node.attrs["seed"]) % len(table)
    rows = kernels.index(keys)

    def backprop(d_vectors: ArrayT) -> tuple[str, Any]:
        return "E", kernels.unshare(kernels.scatter_sum(d_vectors, rows, len(table)))

    return kernels.take_sum(table, rows), backprop


def _static_embed(
    node: NodeT, keys: Any, vocab: Vocab, kernels: Kernels
) -> tuple[ArrayT, Callable[[ArrayT], tuple[str, Any]]]:
    W = kernels.share(node.get_param("W"))
    vectors = vocab.vectors
    found = None
    if isinstance(vectors, Vectors) and vectors.mode == Mode.default:
        found = vectors.find(keys=keys)
        V = kernels.share(node.ops.asarray2f(vectors.data[found]))
    else:
        V = kernels.share(node.ops.asarray2f(vectors.get_batch(keys)))
    Y = V @ W.T
    if found is not None:
        Y *= kernels.share(node.ops.asarray2f(found >= 0, dtype="float32").reshape(-1, 1))

    def backprop(dY: ArrayT) -> tuple[str, Any]:
        # As in spaCy's layer, a word without a vector counts here with the table's last one.
        return "W", kernels.unshare(dY.T @ V)

    return Y, backprop
