"""The fast encoder as part of one ONNX graph that takes nothing but rows of the hash tables and lengths of docs.

It needs no plan of windows from the caller: the docs lie in one array with rows of padding between them, as in spaCy,
and every layer computes all rows. That is more work than in `OnnxNetwork`, for programs that can't do without.
"""

import numpy

from ..encoders.hash_embed_cnn.maxout_block import BlockWeights, read_weights
from ..encoders.hash_embed_cnn.thinc_nodes import Network
from .cnn_graphs import write_embedding, write_maxout_norm
from .graph import Graph
from .heads import GraphDocs


def write_encoder(graph: Graph, network: Network, rows: str, docs: GraphDocs) -> str:
    """Rows of each hash table (n_tokens, n_tables, 4), and the input "static" -> token vectors (n_tokens, width)."""
    embedding, encoder = network.embedding, network.encoder
    mix = read_weights(embedding.mix, embedding.n_taps)
    X = write_embedding(graph, network, mix, rows, "n_tokens")
    margin = encoder.window * len(encoder.blocks)
    places, shape = write_places(graph, docs, margin, len(mix.gain))
    zeros = graph.node("ConstantOfShape", shape)
    X = graph.node("ScatterND", zeros, places, X)
    for block in encoder.blocks:
        X = write_convolution(graph, X, read_weights(block, encoder.n_taps))
        if not encoder.padded:
            X = graph.node("ScatterND", zeros, places, graph.node("GatherND", X, places))
    return graph.node("GatherND", X, places)


def write_places(graph: Graph, docs: GraphDocs, margin: int, width: int) -> tuple[str, str]:
    """The row of each token (n_tokens, 1), with `margin` rows before each doc and after the last, and the shape of the
    array of all rows.
    """
    second, rows = graph.weight(numpy.array([1])), graph.weight(numpy.array(margin))
    n_tokens = graph.node("Shape", docs.of_token)
    zero, one = graph.weight(numpy.array(0)), graph.weight(numpy.array(1))
    count = graph.node("Range", zero, graph.node("Squeeze", n_tokens), one)
    before = graph.node("Mul", graph.node("Add", docs.of_token, one), rows)
    places = graph.node("Unsqueeze", graph.node("Add", count, before), second)
    n_margins = graph.node("Add", graph.node("Shape", docs.lengths), second)
    n_rows = graph.node("Add", n_tokens, graph.node("Mul", n_margins, rows))
    return places, graph.node("Concat", n_rows, graph.weight(numpy.array([width])), axis=0)


def write_convolution(graph: Graph, X: str, layer: BlockWeights) -> str:
    """A residual convolution over all rows, (n, width) -> (n, width)."""
    n_taps, _, n_out = layer.taps.shape
    window = n_taps // 2
    padded = graph.node("Pad", X, graph.weight(numpy.array([window, 0, window, 0])))
    axis = graph.weight(numpy.array([0]))
    taps = []
    for start in range(n_taps):
        end = start - n_taps + 1 or numpy.iinfo("int64").max
        bounds = [graph.weight(numpy.array([bound])) for bound in (start, end)]
        taps.append(graph.node("Slice", padded, *bounds, axis))
    W, bias = graph.weight(layer.taps.reshape(-1, n_out)), graph.weight(layer.bias)
    Y = graph.node("Gemm", graph.node("Concat", *taps, axis=1), W, bias)
    return graph.node("Add", write_maxout_norm(graph, Y, layer), X)
