"""Pieces of the heads' networks as nodes of an ONNX graph."""

from typing import Any, NamedTuple

import numpy
from thinc.api import Model

from ..layers.linear import LinearT
from ..layers.pooling import PoolingT
from ..protocols.arrays import ArrayT, GraphT


class GraphDocs(NamedTuple):
    """What a graph knows of the batch; each is the name of an array of integers.

    lengths (n_docs,): Tokens of each doc.
    token_at (n_docs, longest): The token at each place of each doc, and the number of all tokens where it has ended.
    of_token (n_tokens,): The doc that each token is in.
    """

    lengths: str
    token_at: str
    of_token: str


def write_docs(graph: GraphT, lengths: str) -> GraphDocs:
    """What follows from the lengths (n_docs,)."""
    zero, first = graph.weight(numpy.array(0)), graph.weight(numpy.array([0]))
    one, second = graph.weight(numpy.array(1)), graph.weight(numpy.array([1]))
    places = graph.node("Range", zero, graph.node("ReduceMax", lengths, keepdims=0), one)
    starts = graph.node("Unsqueeze", graph.node("CumSum", lengths, zero, exclusive=1), second)
    within = graph.node("Less", places, graph.node("Unsqueeze", lengths, second))
    n_tokens = graph.node("ReduceSum", lengths, keepdims=0)
    token_at = graph.node("Where", within, graph.node("Add", starts, places), n_tokens)
    of_token = graph.node("Gather", graph.node("NonZero", within), first, axis=0)
    return GraphDocs(lengths, token_at, graph.node("Squeeze", of_token, first))


def write_linear(graph: GraphT, layer: LinearT, X: str) -> str:
    """X (n, nI) -> (n, nO)."""
    params = [graph.weight(layer.get_param(name)) for name in layer.param_names]
    return str(graph.node("Gemm", X, *params, transB=1))


def write_pooling(graph: GraphT, model: PoolingT, X: str, docs: GraphDocs) -> str:
    """Token vectors (n_tokens, width) -> (n_docs, width * n_kinds); zeros for a doc without tokens."""
    reducers = model.layers[0].layers if model.attrs["n_kinds"] > 1 else model.layers
    pooled = graph.node("Concat", *(write_reducer(graph, reducer, X, docs) for reducer in reducers), axis=1)
    filled = graph.node("Greater", docs.lengths, graph.weight(numpy.array(0)))
    filled = graph.node("Unsqueeze", filled, graph.weight(numpy.array([1])))
    return str(graph.node("Where", filled, pooled, graph.weight(numpy.zeros(1, dtype="float32"))))


def write_reducer(graph: GraphT, reducer: Model[Any, Any], X: str, docs: GraphDocs) -> str:
    """Token vectors (n_tokens, width) -> (n_docs, width), NaN or infinite for a doc without tokens."""
    if reducer.name == "reduce_max":
        return str(graph.node("ReduceMax", write_padded(graph, X, docs, -numpy.inf), axes=[1], keepdims=0))
    if reducer.name == "reduce_mean":
        lengths = graph.node("Cast", docs.lengths, to=graph.FLOAT)
        total = graph.node("Unsqueeze", lengths, graph.weight(numpy.array([1])))
        return str(graph.node("Div", write_sum(graph, X, docs), total))
    query: ArrayT = reducer.layers[0].get_param("Q")
    bounds = [graph.weight(numpy.array(bound, dtype="float32")) for bound in (-20, 20)]
    # Within the bounds that thinc's softmax over sequences keeps to.
    attention = graph.node("Exp", graph.node("Clip", graph.node("MatMul", X, graph.weight(query[:, None])), *bounds))
    weighted = write_sum(graph, graph.node("Mul", X, attention), docs)
    return str(graph.node("Div", weighted, write_sum(graph, attention, docs)))


def write_sum(graph: GraphT, X: str, docs: GraphDocs) -> str:
    """The sum over each doc's tokens, (n_tokens, n) -> (n_docs, n)."""
    padded = write_padded(graph, X, docs, 0.0)
    return str(graph.node("ReduceSum", padded, graph.weight(numpy.array([1])), keepdims=0))


def write_padded(graph: GraphT, X: str, docs: GraphDocs, fill: float) -> str:
    """(n_tokens, n) -> (n_docs, longest, n), with `fill` after the end of a doc."""
    value = graph.weight(numpy.array(fill, dtype="float32"))
    one_row = graph.node("Pad", X, graph.weight(numpy.array([0, 0, 1, 0])), value)
    return str(graph.node("Gather", one_row, docs.token_at))
