"""Write the fast encoder as two ONNX graphs, which `OnnxNetwork` runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from spacy.vocab import Vocab

from ..encoders.hash_embed_cnn.maxout_block import BlockWeights
from ..encoders.hash_embed_cnn.thinc_nodes import Network, Weights, network_weights
from .graph import Graph
from .runtime import Settings

EPSILON = 1e-8


def encoder_graphs(network: Network, vocab: Vocab) -> dict[str, bytes]:
    """Build the graphs "words" and "tokens", as the contents of .onnx files.

    network (Network): The nodes of the encoder.
    vocab (Vocab): The vocab that says by which attribute static vectors are found.
    """
    weights, settings = network_weights(network, look_up=True), read_settings(network, vocab)
    return {"words": words_graph(network, weights, settings), "tokens": tokens_graph(network, weights, settings)}


def read_settings(network: Network, vocab: Vocab) -> Settings:
    """Read the settings that the caller of the graphs needs."""
    embedding, encoder = network.embedding, network.encoder
    maxout, attrs = encoder.blocks[0].maxout, network.root.attrs
    return Settings(
        columns=embedding.columns(vocab),
        seeds=[int(node.attrs["seed"]) for node in embedding.tables],
        sizes=[len(node.get_param("E")) for node in embedding.tables],
        static=embedding.static is not None,
        window=encoder.window,
        tiles=encoder.tiles(look_up=True),
        padded=encoder.padded,
        width=maxout.get_dim("nO"),
        n_out=maxout.get_dim("nO") * maxout.get_dim("nP"),
        known_words=list(attrs["word_counts"].counts) if attrs.get("rare_word_dropout") else None,
    )


def words_graph(network: Network, weights: Weights, settings: Settings) -> bytes:
    """Build the graph from rows of the hash tables (n_words, n_tables, 4) to the vectors of words (n_words, width) and
    their products with the taps of the first layer (n_words, n_taps * n_out).
    """
    graph = Graph("words")
    rows = graph.input("rows", ["n_words", len(settings.sizes), 4], "int64")
    vectors = write_embedding(graph, network, weights.mix, rows, "n_words")
    taps = weights.layers[0].taps
    by_word = taps.swapaxes(0, 1).reshape(settings.width, -1)
    graph.output(vectors, "vectors", ["n_words", settings.width])
    graph.output(graph.node("MatMul", vectors, graph.weight(by_word)), "products", ["n_words", by_word.shape[1]])
    return graph.to_bytes(settings.to_metadata())


def tokens_graph(network: Network, weights: Weights, settings: Settings) -> bytes:
    """Build the graph from tables of words, and the rows that each window reads, to token vectors (n_tokens, width)."""
    graph = Graph("tokens")
    n_taps, width = 2 * settings.window + 1, settings.width
    vectors = graph.input("vectors", ["n_words", width])
    products = graph.input("products", ["n_products", settings.n_out])
    rows = graph.input("rows", [n_taps, "n_windows_0"], "int64")
    centers = graph.input("centers", ["n_windows_0"], "int64")
    Y = write_looked_up(graph, products, rows, weights.layers[0].bias, n_taps)
    X = graph.node("Add", write_maxout_norm(graph, Y, weights.layers[0]), graph.node("Gather", vectors, centers))
    for i, layer in enumerate(weights.layers[1:], start=1):
        index = graph.input(f"windows_{i}", [n_taps + settings.tiles[i] - 1, f"n_windows_{i}"], "int64")
        if not settings.padded:
            X = write_zero_last(graph, X, width)
        X = write_layer(graph, graph.node("Gather", X, index), layer, winograd=network.encoder.winograd)
    tokens = graph.input("tokens", ["n_tokens"], "int64")
    graph.output(graph.node("Gather", X, tokens), "tokvecs", ["n_tokens", width])
    return graph.to_bytes(settings.to_metadata())


def write_embedding(graph: Graph, network: Network, mix: BlockWeights, rows: str, n_words: str) -> str:
    """Write the embedding stage. Adds the input "static" if static vectors are used.

    graph (Graph): The graph to write to.
    network (Network): The nodes of the encoder.
    mix (BlockWeights): The weights of the maxout.
    rows (str): The value with the rows of each hash table, (n_words, n_tables, 4).
    n_words (str): The name of the size that is the number of words.
    RETURNS (str): The value with the vectors of the words, (n_words, width).
    """
    tables: list[Any] = [node.get_param("E") for node in network.embedding.tables]
    starts = np.cumsum([0, *map(len, tables[:-1])])
    rows = graph.node("Add", rows, graph.weight(starts[None, :, None]))
    hashed = graph.node("Gather", graph.weight(np.concatenate(tables)), rows)
    summed = graph.node("ReduceSum", hashed, graph.weight(np.array([2])), keepdims=0)
    X = reshaped(graph, summed, [-1, len(tables) * tables[0].shape[1]])
    if network.embedding.static is not None:
        W: Any = network.embedding.static.get_param("W")
        static = graph.input("static", [n_words, W.shape[1]])
        X = graph.node("Concat", X, graph.node("MatMul", static, graph.weight(W.T)), axis=1)
    taps = graph.weight(mix.taps.reshape(-1, mix.taps.shape[2]))
    return write_maxout_norm(graph, graph.node("Gemm", X, taps, graph.weight(mix.bias)), mix)


def write_looked_up(graph: Graph, products: str, rows: str, bias: Any, n_taps: int) -> str:
    """Write the sum of the products of the words in each window, rows (n_taps, n) -> (n, n_out)."""
    first = graph.weight(np.array([0]))
    parts = graph.nodes_of("Split", rows, n_outputs=n_taps, axis=0)
    taps = [graph.node("Gather", products, graph.node("Squeeze", part, first)) for part in parts]
    total = taps[0]
    for tap in [*taps[1:], graph.weight(bias)]:
        total = graph.node("Add", total, tap)
    return total


def write_layer(graph: Graph, windows: str, layer: BlockWeights, *, winograd: bool) -> str:
    """Write a residual convolution, windows (n_taps + tile - 1, n, width) -> (tile * n, width)."""
    return (write_winograd if winograd else write_direct)(graph, windows, layer)


def write_winograd(graph: Graph, windows: str, layer: BlockWeights) -> str:
    """Write a residual convolution over two neighbouring positions at a time, as in `winograd_products`."""
    taps = [graph.weight(tap) for tap in layer.taps]
    before, first, second, after = graph.nodes_of("Split", windows, n_outputs=4, axis=0)
    even = graph.node("MatMul", graph.node("Add", first, second), taps[1])
    even = graph.node("Add", even, graph.weight(layer.bias))
    odd = graph.node("MatMul", graph.node("Sub", second, first), taps[2])
    outer = [graph.node("Sub", before, second), graph.node("Sub", after, first)]
    halves = []
    for operator, outside, tap in zip(("Add", "Sub"), outer, (taps[0], taps[3]), strict=True):
        Y = graph.node("Add", graph.node(operator, even, odd), graph.node("MatMul", outside, tap))
        halves.append(write_maxout_norm(graph, Y, layer))
    centers = reshaped(graph, graph.node("Concat", first, second, axis=0), [-1, len(layer.gain)])
    return graph.node("Add", graph.node("Concat", *halves, axis=0), centers)


def write_direct(graph: Graph, windows: str, layer: BlockWeights) -> str:
    """Write a residual convolution over whole windows, as in `direct_products`."""
    n_taps, width, n_out = layer.taps.shape
    side_by_side = reshaped(graph, graph.node("Transpose", windows, perm=[1, 0, 2]), [-1, n_taps * width])
    taps = graph.weight(layer.taps.reshape(-1, n_out))
    Y = graph.node("Gemm", side_by_side, taps, graph.weight(layer.bias))
    center = graph.node("Gather", windows, graph.weight(np.array(n_taps // 2)), axis=0)
    return graph.node("Add", write_maxout_norm(graph, Y, layer), center)


def write_maxout_norm(graph: Graph, Y: str, layer: BlockWeights) -> str:
    """Write maxout and layer norm, products (…, pieces * width) -> (n, width)."""
    width = len(layer.gain)
    best = graph.node("ReduceMax", reshaped(graph, Y, [-1, len(layer.bias) // width, width]), axes=[1], keepdims=0)
    gain, shift = graph.weight(layer.gain), graph.weight(layer.shift)
    return graph.node("LayerNormalization", best, gain, shift, axis=-1, epsilon=EPSILON)


def write_zero_last(graph: Graph, X: str, width: int) -> str:
    """Write a copy of X whose last row is zeros."""
    start, end = graph.weight(np.array([0])), graph.weight(np.array([-1]))
    zeros = graph.weight(np.zeros((1, width), dtype="float32"))
    return graph.node("Concat", graph.node("Slice", X, start, end, start), zeros, axis=0)


def reshaped(graph: Graph, X: str, shape: Sequence[int]) -> str:
    """Write a change of shape."""
    return graph.node("Reshape", X, graph.weight(np.array(shape)))
