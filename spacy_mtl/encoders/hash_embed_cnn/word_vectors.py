"""The embedding stage of the encoder, once for each distinct word of a batch: the function of `MultiHashEmbed`."""

from collections.abc import Callable, Sequence
from functools import partial
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
from .piece_layer import PIECES
from .piece_vectors import PieceVectors, vocabs_of
from .tap_products import direct_products

NUMPY_OPS = NumpyOps()
# keys of words -> their static vectors (n_words, n), and whether each word has one; None if all have
StaticVectorsT = Callable[[Any], tuple[Any, Any]]
# the attributes that identify a word; many words share the others, such as SHAPE and SUFFIX
IDENTITY = (ORTH, LOWER, NORM, LEMMA)
# an odd number without pattern, to combine the hashes of a word's features into one 64-bit hash
MIXER = np.uint64(0x9E3779B97F4A7C15)


class Embedding(NamedTuple):
    """The nodes of the embedding stage.

    extract (Model): Node that says which attributes of a token are its features.
    tables (list[Model]): The hash embedding of each feature.
    static (Model | None): The projection of static vectors, if they are used. They are those of the vocab, or belong to
        the node (see `PieceVectors`).
    mix (Block): The maxout that combines all vectors of a word.
    """

    extract: NodeT
    tables: list[NodeT]
    static: NodeT | None
    mix: Block

    @property
    def n_taps(self) -> int:
        """Number of vectors that are combined."""
        return len(self.tables) + (self.static is not None)

    @property
    def hashed(self) -> list[int]:
        """The ids of the attributes that the tables embed."""
        return [intify_attr(column) for column in self.extract.attrs["columns"]]

    @property
    def pieces(self) -> PieceVectors | None:
        """The static vectors that belong to the encoder; None if it has those of the vocab, or none."""
        return None if self.static is None else self.static.attrs.get(PIECES)

    @property
    def depends_on_vocab(self) -> bool:
        """Whether the static vectors of the vocab are used."""
        return self.static is not None and self.pieces is None

    def columns(self, vocab: Vocab) -> list[int]:
        """Return the ids of the features' attributes, and last that of the static vectors' key if they are used."""
        if self.static is None:
            return self.hashed
        return [*self.hashed, getattr(vocab.vectors, "attr", ORTH) if self.depends_on_vocab else ORTH]


class Words(NamedTuple):
    """The distinct words of a batch.

    features (Ints2d): Features of each word, (n_words, n_features). If static vectors are used, the last column is the
        key of the word's vector.
    keys (Ints1d): One hash of all features of each word, (n_words,).
    of_token (Ints1d): Index of the word of each token, (n_tokens,).
    """

    features: Any
    keys: Any
    of_token: Any


class TableGrad(NamedTuple):
    """The gradient of some rows of a hash table.

    node (Model): The hash embedding.
    d_vectors (Floats2d): Gradient of each word's vector, (n_words, width). It is the gradient of each of its rows.
    rows (Ints2d): The four rows of each word, (n_words, 4).
    """

    node: NodeT
    d_vectors: ArrayT
    rows: IndexT


def distinct_words(docs: Sequence[Doc], columns: Sequence[int]) -> Words:
    """Find the distinct words of a batch. Two tokens have the same word if all their features are equal, so a token
    with a NORM of its own differs from other tokens of its lexeme.

    docs (Sequence[Doc]): The docs, none of them empty.
    columns (Sequence[int]): The attributes from `Embedding.columns`.
    """
    features = np.concatenate([doc.to_array(list(columns)).reshape(len(doc), -1) for doc in docs])
    keys = features[:, 0]
    for column in range(1, features.shape[1]):
        keys = (keys * MIXER) ^ features[:, column]
    keys, first, of_token = np.unique(keys, return_index=True, return_inverse=True)
    return Words(features[first], keys, of_token.reshape(-1))


def embed(features: Any, embedding: Embedding, weights: BlockWeights, docs: Sequence[Doc], kernels: Kernels) -> ArrayT:
    """Compute the vectors of words of some docs in prediction, features (n_words, n_features) -> (n_words, width)."""
    vectors = [_hash_embed(node, features[:, i], kernels)[0] for i, node in enumerate(embedding.tables)]
    if embedding.static is not None:
        vectors.append(
            _static_embed(embedding.static, features[:, -1], static_vectors(docs, embedding.pieces), kernels)[0]
        )
    Y, _ = direct_products(_side_by_side(vectors, kernels), weights.taps, weights.bias, kernels=kernels)
    return maxout_norm(Y, weights, kernels=kernels)


def begin_embed(
    features: Any, embedding: Embedding, weights: BlockWeights, docs: Sequence[Doc], kernels: Kernels
) -> tuple[ArrayT, Callable[[ArrayT], tuple[GradsT, list[TableGrad]]]]:
    """Compute the vectors of words of some docs in training.

    RETURNS: Vectors (n_words, width), to which the dropout of `mix` is not applied yet, and backprop to the parameters.
    """
    looked_up = [_hash_embed(node, features[:, i], kernels) for i, node in enumerate(embedding.tables)]
    vectors, rows = [v for v, _ in looked_up], [r for _, r in looked_up]
    masks = [_mask_dimensions(v, node, kernels) for v, node in zip(vectors, embedding.tables, strict=True)]
    if embedding.static is not None:
        read = static_vectors(docs, embedding.pieces)
        projected, V = _static_embed(embedding.static, features[:, -1], read, kernels)
        vectors.append(projected)
        masks.append(_mask_dimensions(projected, embedding.static, kernels))
    X = _side_by_side(vectors, kernels)
    Y, backprop_products = direct_products(X, weights.taps, weights.bias, kernels=kernels)
    H, backprop_norm = begin_maxout_norm(Y, weights, kernels=kernels)

    def backprop(dH: ArrayT) -> tuple[GradsT, list[TableGrad]]:
        dY, d_gain, d_shift = backprop_norm(dH)
        dX = backprop_products.to_input(dY)
        d_taps, d_bias = backprop_products.to_weights(dY)
        d_vectors = [dX[:, i] if mask is None else dX[:, i] * mask for i, mask in enumerate(masks)]
        d_weights = BlockWeights(d_taps, d_bias, d_gain, d_shift)
        grads = weight_grads(embedding.mix, d_weights, winograd=False, kernels=kernels)
        if embedding.static is not None:
            # As in spaCy's layer, a word without a vector has the last vector of the table here.
            grads.append((embedding.static, "W", kernels.unshare(d_vectors[-1].T @ V)))
        return grads, [TableGrad(*grad) for grad in zip(embedding.tables, d_vectors, rows, strict=False)]

    return H, backprop


def _side_by_side(vectors: Sequence[ArrayT], kernels: Kernels) -> ArrayT:
    """Stack arrays of shape (n_words, width) to one of shape (n_words, n_vectors, width)."""
    X = kernels.empty(len(vectors[0]), len(vectors), vectors[0].shape[1])
    for i, v in enumerate(vectors):
        X[:, i] = v
    return X


def _mask_dimensions(vectors: ArrayT, node: NodeT, kernels: Kernels) -> ArrayT | None:
    """Apply dropout in place with the same mask for all words, as spaCy's embeddings do. RETURNS: The mask."""
    rate = node.attrs.get("dropout_rate")
    if not rate:
        return None
    mask = kernels.dropout_mask((vectors.shape[1],), rate)
    vectors *= mask
    return mask


def table_rows(ids: Any, seed: int, n_rows: int) -> Any:
    """Return the rows of a hash table whose sum is the vector of each feature, (n_words,) -> (n_words, 4)."""
    return NUMPY_OPS.hash(np.ascontiguousarray(ids), seed) % n_rows


def static_vectors(docs: Sequence[Doc], pieces: PieceVectors | None) -> StaticVectorsT:
    """Return the function that looks up static vectors by the keys of the docs' words.

    docs (Sequence[Doc]): Docs, at least one.
    pieces (PieceVectors | None): The encoder's own vectors; None for those of the vocab.
    """
    if pieces is None:
        return partial(_vocab_vectors, docs[0].vocab.vectors)
    vocabs = vocabs_of(docs)
    return lambda keys: (pieces.read(keys, vocabs), None)


def _vocab_vectors(vectors: Any, keys: Any) -> tuple[Any, Any]:
    if isinstance(vectors, Vectors) and vectors.mode == Mode.default:
        found = vectors.find(keys=keys)
        return vectors.data[found], found >= 0
    return vectors.get_batch(keys), None


def _hash_embed(node: NodeT, ids: Any, kernels: Kernels) -> tuple[ArrayT, IndexT]:
    """RETURNS: The vectors of the words (n_words, width), and the rows of the table that were summed (n_words, 4)."""
    table = kernels.share(node.get_param("E"))
    rows = kernels.index(table_rows(ids, node.attrs["seed"], len(table)))
    return kernels.take_sum(table, rows), rows


def _static_embed(node: NodeT, keys: Any, read: StaticVectorsT, kernels: Kernels) -> tuple[ArrayT, ArrayT]:
    """RETURNS: The projected vectors of the words, zeros for a word without one, and the vectors themselves."""
    array, found = read(keys)
    V = kernels.share(node.ops.asarray2f(array))
    Y = V @ kernels.share(node.get_param("W")).T
    if found is not None:
        Y *= kernels.share(node.ops.asarray2f(found[:, None], dtype="float32"))
    return Y, V
