"""The forward and backward pass of the fast encoder, from docs to token vectors."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from spacy.tokens import Doc
from thinc.api import Ops
from thinc.types import Floats2d

from ...layers.last_layer import LAST_LAYER, LastLayer
from ...layers.ragged_rows import bounds
from ...protocols.arrays import ArrayT, Tok2VecBackpropT, Tok2VecT
from ...threads.parallel import run_parts, split_evenly
from .kernels import Kernels, kernels_for
from .maxout_block import GradsT, split_weight_grads
from .rare_words import drop_rare, hide_unseen
from .tap_products import word_products
from .thinc_nodes import Network, Weights, find_network, network_weights
from .window_encoder import begin_encode, encode
from .word_cache import WordCache
from .word_dropout import drop_words
from .word_vectors import TableGrad, begin_embed, distinct_words, embed


class PartBackprop(NamedTuple):
    """The backprop of a part.

    to_all (Callable): Gradient of the token vectors, and whether the last layer's parameters need theirs -> gradients
        of all parameters.
    to_last (Callable): m gradients of the token vectors -> for each of them those of the last layer's parameters, flat,
        (m, n_params).
    """

    to_all: Callable[[Floats2d, bool], tuple[GradsT, list[TableGrad]]]
    to_last: Callable[[Sequence[Floats2d]], Floats2d]


class Part(NamedTuple):
    """The docs of a batch that one thread works on.

    docs (list[Doc]): The docs, none of them empty.
    tokens (slice): The rows of their tokens in the batch.
    """

    docs: list[Doc]
    tokens: slice


def forward(model: Tok2VecT, docs: Sequence[Doc], is_train: bool) -> tuple[list[Floats2d], Tok2VecBackpropT]:
    """RETURNS: For each doc its token vectors (n_tokens, width), slices of one array, and backprop."""
    ends = bounds([len(doc) for doc in docs]).tolist()
    tokvecs = model.ops.xp.empty((ends[-1], model.get_dim("nO")), dtype="float32")
    backprop: Tok2VecBackpropT = _empty_backprop
    if ends[-1]:
        cache: WordCache = model.attrs["words"]
        network = cache.read_network(model, find_network)
        parts = split_docs(docs, ends, side_by_side=model.ops.xp is np)
        if is_train:
            _count_words(network, cache, docs)
            backprop = _train(network, parts, tokvecs)
        else:
            backprop = _predict(network, cache, parts, tokvecs)
    return [tokvecs[start:end] for start, end in pairwise(ends)], backprop


def split_docs(docs: Sequence[Doc], ends: Sequence[int], *, side_by_side: bool) -> list[Part]:
    """Split a batch into one part for each thread, or a single one.

    docs (Sequence[Doc]): The docs of the batch.
    ends (Sequence[int]): 0, then the number of tokens up to the end of each doc.
    side_by_side (bool): Whether threads share the batch.
    """
    slices = split_evenly(ends) if side_by_side else [slice(0, len(docs))]
    return [Part([d for d in docs[s] if len(d)], slice(ends[s.start], ends[s.stop])) for s in slices]


def _count_words(network: Network, cache: WordCache, docs: Sequence[Doc]) -> None:
    """Count the words of a training batch if rare words are dropped."""
    attrs = network.root.attrs
    if attrs["rare_word_dropout"] and attrs["word_counts"].see(docs, network.embedding.hashed):
        cache.clear()


def _predict(network: Network, cache: WordCache, parts: list[Part], tokvecs: Floats2d) -> Tok2VecBackpropT:
    params = [node.get_param(name) for node, name in network.params]
    weights = cache.read_weights(
        params, lambda: network_weights(network, look_up=True), ops=network.ops, width=tokvecs.shape[1]
    )
    if network.embedding.depends_on_vocab:
        # Words cannot be kept, since nothing tells when the vectors of the vocab change.
        cache = WordCache()
    kernels = kernels_for(network.ops, len(tokvecs))

    def encode_part(part: Part) -> None:
        tokvecs[part.tokens] = _encode_part(part.docs, network, weights, cache, kernels)

    run_parts(encode_part, parts)
    return _empty_backprop


def _encode_part(docs: list[Doc], network: Network, weights: Weights, cache: WordCache, kernels: Kernels) -> Floats2d:
    """Compute the vectors of all tokens in prediction, (n_tokens, width)."""
    weights = weights.share(kernels)
    words = distinct_words(docs, network.embedding.columns(docs[0].vocab))
    taps = weights.layers[0].taps

    def compute(missing: Any) -> tuple[Floats2d, Floats2d]:
        features = words.features[missing]
        if network.root.attrs["rare_word_dropout"]:
            features = hide_unseen(features, network.embedding.hashed, network.root.attrs["word_counts"])
        X = embed(features, network.embedding, weights.mix, docs, kernels)
        return kernels.unshare(X), kernels.unshare(word_products(X, taps))

    n_taps, width, n_out = taps.shape
    rows, tables = cache.look_up(words.keys, compute, widths=[width, n_taps * n_out], ops=network.ops)
    plan = network.encoder.plan([len(doc) for doc in docs], look_up=True)
    word_of_row = np.concatenate([[0], rows[words.of_token]])
    plan = plan._replace(windows=[word_of_row[plan.windows[0]], *plan.windows[1:]])
    vectors, products = map(kernels.share, tables)
    return kernels.unshare(encode(vectors, products, plan, network.encoder, weights.layers, kernels=kernels))


def _train(network: Network, parts: list[Part], tokvecs: Floats2d) -> Tok2VecBackpropT:
    weights = network_weights(network, look_up=False)
    # Each part has a generator of its own, so its dropout masks do not depend on the order of threads.
    seeds = np.random.randint(2**31, size=len(parts)).tolist()

    def begin_part(job: tuple[Part, int]) -> PartBackprop:
        part, seed = job
        kernels = kernels_for(network.ops, len(tokvecs), seed=seed)
        tokvecs[part.tokens], backprop = _begin_part(part.docs, network, weights, kernels, seed=seed)
        return backprop

    backprops = run_parts(begin_part, list(zip(parts, seeds, strict=True)))
    jobs = list(zip(backprops, parts, strict=True))

    def backprop_last(d_tokvecs: Sequence[Floats2d]) -> Floats2d:
        found = run_parts(lambda job: job[0].to_last([one[job[1].tokens] for one in d_tokvecs]), jobs)
        return sum(found[1:], start=found[0])

    def backprop(d_tokvecs: list[Floats2d]) -> list[Doc]:
        dY = network.ops.flatten(d_tokvecs)
        known = last_layer.finish(dY)
        found = run_parts(lambda job: job[0].to_all(dY[job[1].tokens], known is None), jobs)
        if known is not None:
            found[0][0].extend(split_weight_grads(network.encoder.blocks[-1], known))
        _add_grads(found, network.ops, kernels_for(network.ops, len(dY)))
        return []

    last_layer: LastLayer = network.root.attrs[LAST_LAYER]
    last_layer.begin(backprop_last)
    return backprop


def _begin_part(
    docs: list[Doc], network: Network, weights: Weights, kernels: Kernels, *, seed: int
) -> tuple[Floats2d, PartBackprop]:
    """Compute the vectors of all tokens in training. RETURNS: The vectors (n_tokens, width), and their backprop."""
    embedding, encoder = network.embedding, network.encoder
    weights = weights.share(kernels)
    columns, attrs = embedding.columns(docs[0].vocab), network.root.attrs
    words = distinct_words(docs, columns)
    if attrs["rare_word_dropout"]:
        alpha, power = attrs["rare_word_dropout"], attrs["rare_word_power"]
        words = drop_rare(words, embedding.hashed, attrs["word_counts"], alpha, power, seed=seed)
    if attrs["word_dropout"]:
        words = drop_words(words, columns, len(embedding.tables), attrs["word_dropout"], seed=seed)
    vectors, backprop_embed = begin_embed(words.features, embedding, weights.mix, docs, kernels)
    X, backprop_spread = _spread(vectors, words.of_token, embedding.mix.dropout_rate, kernels)
    plan = encoder.plan([len(doc) for doc in docs], look_up=False)
    Y, backprop_encode = begin_encode(X, plan, encoder, weights.layers, kernels=kernels)

    def to_all(dY: Floats2d, with_last: bool) -> tuple[GradsT, list[TableGrad]]:
        dX, grads = backprop_encode.to_all(kernels.share(dY), with_last)
        embed_grads, table_grads = backprop_embed(backprop_spread(dX))
        return [*grads, *embed_grads], table_grads

    def to_last(dY: Sequence[Floats2d]) -> Floats2d:
        return kernels.unshare(backprop_encode.to_last([kernels.share(one) for one in dY]))

    return kernels.unshare(Y), PartBackprop(to_all, to_last)


def _add_grads(parts: list[tuple[GradsT, list[TableGrad]]], ops: Ops, kernels: Kernels) -> None:
    """Add the gradients of all parts to those that the nodes store."""
    for grads, _ in parts:
        for node, name, grad in grads:
            node.inc_grad(name, grad)

    def add_table(table_grads: tuple[TableGrad, ...]) -> None:
        node = table_grads[0].node
        if not node.has_grad("E"):
            node.set_grad("E", kernels.unshare(kernels.zeros(*node.get_param("E").shape)))
        # A batch has few of a table's rows, so they are added in place.
        dE = kernels.share(node.get_grad("E"))
        for _, d_vectors, rows in table_grads:
            kernels.scatter_add(dE, d_vectors, rows)

    tables = list(zip(*(table_grads for _, table_grads in parts), strict=True))
    if ops.xp is np:
        run_parts(add_table, tables)
        return
    for table_grads in tables:
        add_table(table_grads)


def _spread(vectors: ArrayT, of_token: Any, rate: float, kernels: Kernels) -> tuple[ArrayT, Callable[[ArrayT], ArrayT]]:
    """Copy the vectors of words (n_words, width) to their tokens, with a dropout mask of its own for each token.

    RETURNS: A row of zeros followed by the vectors of the tokens (1 + n_tokens, width), and backprop.
    """
    rows = kernels.index(of_token)
    X = kernels.empty(len(of_token) + 1, vectors.shape[1])
    X[0] = 0.0
    X[1:] = kernels.take(vectors, rows)
    mask = kernels.dropout_mask(X[1:].shape, rate) if rate else None
    if mask is not None:
        X[1:] *= mask

    def backprop(dX: ArrayT) -> ArrayT:
        d_tokens = dX[1:] if mask is None else dX[1:] * mask
        return kernels.scatter_add(kernels.zeros(*vectors.shape), d_tokens, rows[:, None])

    return X, backprop


def _empty_backprop(d_tokvecs: list[Floats2d]) -> list[Doc]:
    return []
