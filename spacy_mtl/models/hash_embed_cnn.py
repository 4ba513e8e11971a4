"""spaCy's HashEmbedCNN, computed several times faster.

The network is spaCy's own tree of thinc nodes, which holds the parameters and can be saved, loaded, pretrained and
optimised like any other; only the function at its root is another.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy
from spacy.ml.models.tok2vec import MaxoutWindowEncoder, MultiHashEmbed, build_Tok2Vec_model
from spacy.tokens import Doc
from thinc.api import Model, Ops
from thinc.types import Floats2d

from ..layers.kernels import ArrayT, Kernels, kernels_for
from ..layers.maxout_block import Block, BlockWeights, GradsT, NodeT, read_weights
from ..layers.parallel import run_parts, split_evenly
from ..layers.tap_products import word_products
from ..layers.window_encoder import WindowEncoder, begin_encode, encode
from ..layers.word_cache import WordCache
from ..layers.word_vectors import Embedding, TableGrad, begin_embed, distinct_words, embed

Tok2VecT = Model[list[Doc], list[Floats2d]]
BoundaryT = Literal["padded", "zero"]
BackpropT = Callable[[list[Floats2d]], list[Doc]]
# gradient of the vectors of a part's tokens -> gradients of the parameters
PartBackpropT = Callable[[Floats2d], tuple[GradsT, list[TableGrad]]]


def make_hash_embed_cnn_v1(
    width: int,
    depth: int,
    embed_size: int,
    window_size: int,
    maxout_pieces: int,
    subword_features: bool,
    pretrained_vectors: bool | None,
    boundary: BoundaryT = "padded",
) -> Tok2VecT:
    """The fast form of `spacy.HashEmbedCNN.v2`, with its parameters and `boundary`.

    width (int): Width of the vectors.
    depth (int): Number of convolutions, at least 1.
    embed_size (int): Rows of the hash table for NORM; the tables of the subword features have half as many.
    window_size (int): Neighbours that a convolution sees on either side. 1 is faster than the rest.
    maxout_pieces (int): Linear functions that each output is the maximum of.
    subword_features (bool): Whether to embed PREFIX, SUFFIX and SHAPE beside NORM.
    pretrained_vectors (bool | None): Whether to use the static vectors of the vocab as well.
    boundary (str): What a convolution sees outside a doc. "padded": what the one before computed there, as in spaCy, so
        that equal weights give equal vectors; "zero": zeros, which is faster, for models trained with it.
    """
    attrs = ["NORM", "PREFIX", "SUFFIX", "SHAPE"] if subword_features else ["NORM"]
    return make_multi_hash_embed_cnn_v1(
        width=width,
        attrs=attrs,
        rows=[embed_size, *([embed_size // 2] * (len(attrs) - 1))],
        include_static_vectors=bool(pretrained_vectors),
        depth=depth,
        window_size=window_size,
        maxout_pieces=maxout_pieces,
        boundary=boundary,
    )


def make_multi_hash_embed_cnn_v1(
    width: int,
    attrs: Sequence[str | int],
    rows: list[int],
    include_static_vectors: bool,
    depth: int,
    window_size: int,
    maxout_pieces: int,
    boundary: BoundaryT = "padded",
) -> Tok2VecT:
    """The fast form of `spacy.Tok2Vec.v2` with `spacy.MultiHashEmbed.v2` and `spacy.MaxoutWindowEncoder.v2`.

    attrs (list[str | int]): Token attributes to embed.
    rows (list[int]): Rows of the hash table of each attribute.
    include_static_vectors (bool): Whether to use the static vectors of the vocab as well.
    """
    if depth < 1:
        raise ValueError(f"HashEmbedCNN: depth is {depth}, expected at least 1; for no convolution use MultiHashEmbed")
    if boundary not in ("padded", "zero"):
        raise ValueError(f"HashEmbedCNN: boundary is {boundary!r}, expected 'padded' or 'zero'")
    model: Tok2VecT = build_Tok2Vec_model(
        embed=MultiHashEmbed(width, list(attrs), rows, include_static_vectors),
        encode=MaxoutWindowEncoder(width, window_size, maxout_pieces, depth),
    )
    model.replace_callbacks(forward, init=model.init)
    model.attrs["boundary"] = boundary
    model.attrs["words"] = WordCache()
    return model


def load_spacy_weights(model: Tok2VecT, spacy_model: Tok2VecT) -> Tok2VecT:
    """Copy the weights of spaCy's layer, trained or not.

    spacy_model (Model): A `spacy.HashEmbedCNN.v2` of the same settings, such as `nlp.get_pipe("tok2vec").model`.
    """
    msg = spacy_model.to_bytes()
    if not model.can_from_bytes(msg, strict=False):
        raise ValueError(f"cannot load the weights of {spacy_model.name!r}: its settings differ from this model's")
    model.from_bytes(msg)
    return model


class Network(NamedTuple):
    """What `forward` reads off the tree of nodes."""

    embedding: Embedding
    encoder: WindowEncoder
    params: list[tuple[NodeT, str]]


class Weights(NamedTuple):
    """The network's weights in the order of the products."""

    mix: BlockWeights
    layers: list[BlockWeights]

    def share(self, kernels: Kernels) -> "Weights":
        """The kernels' view of them."""
        return Weights(self.mix.share(kernels), [layer.share(kernels) for layer in self.layers])


class Part(NamedTuple):
    """Docs of a batch that one thread works on, none of them empty, and where their tokens lie in the batch."""

    docs: list[Doc]
    tokens: slice


def forward(model: Tok2VecT, docs: Sequence[Doc], is_train: bool) -> tuple[list[Floats2d], BackpropT]:
    """RETURNS: For each doc its token vectors (n_tokens, width), slices of one array, and backprop."""
    ends = numpy.cumsum([0, *map(len, docs)]).tolist()
    tokvecs = model.ops.xp.empty((ends[-1], model.get_dim("nO")), dtype="float32")
    backprop: BackpropT = _empty_backprop
    if ends[-1]:
        parts = [
            Part([doc for doc in docs[part] if len(doc)], slice(ends[part.start], ends[part.stop]))
            for part in (split_evenly(ends) if model.ops.xp is numpy else [slice(0, len(docs))])
        ]
        backprop = (_train if is_train else _predict)(model, parts, tokvecs)
    return [tokvecs[start:end] for start, end in pairwise(ends)], backprop


def _predict(model: Tok2VecT, parts: list[Part], tokvecs: Floats2d) -> BackpropT:
    cache: WordCache = model.attrs["words"]
    network = read_network(model)
    params = [node.get_param(name) for node, name in network.params]
    weights = cache.read_weights(
        params, lambda: _read_weights(network, look_up=True), ops=model.ops, width=tokvecs.shape[1]
    )
    if network.embedding.static is not None:
        # The vectors of the vocab can change without notice.
        cache = WordCache()

    def encode_part(part: Part) -> None:
        kernels = kernels_for(model.ops, len(tokvecs))
        tokvecs[part.tokens] = _encode_part(part.docs, network, weights, cache, model.ops, kernels)

    run_parts(encode_part, parts)
    return _empty_backprop


def _encode_part(
    docs: list[Doc], network: Network, weights: Weights, cache: WordCache, ops: Ops, kernels: Kernels
) -> Floats2d:
    """RETURNS: The vectors of all tokens, (n_tokens, width)."""
    embedding, encoder, _ = network
    weights = weights.share(kernels)
    words = distinct_words(docs, embedding)
    taps = weights.layers[0].taps

    def compute(missing: Any) -> tuple[Floats2d, Floats2d]:
        X = embed(words.features[missing], embedding, weights.mix, docs[0].vocab, kernels)
        return kernels.unshare(X), kernels.unshare(word_products(X, taps))

    n_taps, width, n_out = taps.shape
    rows, tables = cache.look_up(words.keys, compute, widths=[width, n_taps * n_out], ops=ops)
    plan = encoder.plan([len(doc) for doc in docs], look_up=True)
    word_of_row = numpy.concatenate([[0], rows[words.of_token]])
    plan = plan._replace(windows=[word_of_row[plan.windows[0]], *plan.windows[1:]])
    vectors, products = map(kernels.share, tables)
    return kernels.unshare(encode(vectors, products, plan, encoder, weights.layers, kernels=kernels))


def _train(model: Tok2VecT, parts: list[Part], tokvecs: Floats2d) -> BackpropT:
    network = read_network(model)
    weights = _read_weights(network, look_up=False)
    seeds = numpy.random.randint(2**31, size=len(parts)).tolist()

    def begin_part(job: tuple[Part, int]) -> PartBackpropT:
        part, seed = job
        kernels = kernels_for(model.ops, len(tokvecs), seed=seed)
        tokvecs[part.tokens], backprop_part = _begin_part(part.docs, network, weights, kernels)
        return backprop_part

    backprops = run_parts(begin_part, list(zip(parts, seeds, strict=True)))

    def backprop(d_tokvecs: list[Floats2d]) -> list[Doc]:
        dY = model.ops.flatten(d_tokvecs)
        jobs = [(backprop_part, dY[part.tokens]) for backprop_part, part in zip(backprops, parts, strict=True)]
        _add_grads(run_parts(lambda job: job[0](job[1]), jobs), network.embedding, kernels_for(model.ops, len(dY)))
        return []

    return backprop


def _begin_part(
    docs: list[Doc], network: Network, weights: Weights, kernels: Kernels
) -> tuple[Floats2d, PartBackpropT]:
    """RETURNS: The vectors of all tokens, (n_tokens, width), and the backprop to the parameters."""
    embedding, encoder, _ = network
    weights = weights.share(kernels)
    words = distinct_words(docs, embedding)
    vectors, backprop_embed = begin_embed(words.features, embedding, weights.mix, docs[0].vocab, kernels)
    X, backprop_spread = _spread(vectors, words.of_token, embedding.mix.dropout_rate, kernels)
    plan = encoder.plan([len(doc) for doc in docs], look_up=False)
    Y, backprop_encode = begin_encode(X, plan, encoder, weights.layers, kernels=kernels)

    def backprop(dY: Floats2d) -> tuple[GradsT, list[TableGrad]]:
        dX, grads = backprop_encode(kernels.share(dY))
        embed_grads, table_grads = backprop_embed(backprop_spread(dX))
        return [*grads, *embed_grads], table_grads

    return kernels.unshare(Y), backprop


def _add_grads(parts: list[tuple[GradsT, list[TableGrad]]], embedding: Embedding, kernels: Kernels) -> None:
    """Add the gradients of all parts to those of the nodes."""
    for grads, _ in parts:
        for node, name, grad in grads:
            node.inc_grad(name, grad)
    for i, node in enumerate(embedding.tables):
        dE = kernels.zeros(*node.get_param("E").shape)
        for _, table_grads in parts:
            kernels.scatter_add(dE, table_grads[i].d_vectors, table_grads[i].rows)
        node.inc_grad("E", kernels.unshare(dE))


def _spread(vectors: ArrayT, of_token: Any, rate: float, kernels: Kernels) -> tuple[ArrayT, Callable[[ArrayT], ArrayT]]:
    """The vectors of words (n_words, width) -> a row of zeros and the vectors of tokens (1 + n_tokens, width), of which
    dropout sets other numbers to 0 for each token.
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


def read_network(model: Tok2VecT) -> Network:
    """Find the nodes by their names, in the order in which they are applied."""
    cached: tuple[int, Network] | None = model.attrs["words"].network
    if cached is not None and cached[0] == model.id:
        return cached[1]
    embed_nodes, encode_nodes = [list(layer.walk(order="dfs_pre")) for layer in model.layers]
    (extract,) = _named("extract_features", embed_nodes)
    static = _named("static_vectors", embed_nodes)
    embedding = Embedding(
        extract,
        _named("hashembed", embed_nodes),
        static[0] if static else None,
        _blocks(embed_nodes)[0],
    )
    encoder = WindowEncoder(model, _named("expand_window", encode_nodes), _blocks(encode_nodes))
    params = [(node, name) for node in (*embed_nodes, *encode_nodes) for name in node.param_names]
    network = Network(embedding, encoder, params)
    model.attrs["words"].network = (model.id, network)
    return network


def _named(name: str, nodes: list[NodeT]) -> list[NodeT]:
    return [node for node in nodes if node.name == name]


def _blocks(nodes: list[NodeT]) -> list[Block]:
    names = ("maxout", "layernorm", "dropout")
    return [Block(*block) for block in zip(*(_named(name, nodes) for name in names), strict=True)]


def _read_weights(network: Network, *, look_up: bool) -> Weights:
    """With `look_up`, those of the first layer are for products that are looked up."""
    embedding, encoder, _ = network
    layers = [read_weights(block, encoder.n_taps) for block in encoder.blocks]
    if encoder.minimal:
        layers = [layer if look_up and i == 0 else layer.minimal() for i, layer in enumerate(layers)]
    return Weights(read_weights(embedding.mix, embedding.n_taps), layers)


def _empty_backprop(d_tokvecs: list[Floats2d]) -> list[Doc]:
    return []
