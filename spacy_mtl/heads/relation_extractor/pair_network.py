"""The network of the relation extractor: token vectors and pairs of entities -> scores of each directed pair.

    entity   = first token, last token and maximum of the span; embedding of its type
    context  = maxima of cue detectors over the tokens between the two, and over a few before and behind them
    hidden   = relu(A entity[head] + B entity[tail] + C context + distance), with a C for each direction
    scores   = W [hidden, U entity[head] * V entity[tail]] + bias[type of head, type of tail]

What depends on one entity is computed once an entity. The elementwise product is a biaffine form of low rank.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from thinc.api import Model
from thinc.types import Ragged
from thinc.util import get_array_module

from ...layers.dropout import dropout
from ...layers.linear import linear
from ...protocols.arrays import ArrayT
from ...protocols.found_annotation import FoundSpans
from ...protocols.head import HeadInput, HeadModelT
from .candidate_pairs import Pairs, interleave
from .lookup_table import add_rows, lookup_table
from .pair_prediction import predicted_logits
from .places import DISTANCES, Places, RangesT
from .range_max import range_max

# width of the types' embeddings
TYPE_WIDTH = 16
NONE = np.zeros(0, dtype="int64")


@dataclass
class RelationScores:
    """Logits of all directed pairs of a batch, or their gradient.

    logits (Floats2d): (2 * n_pairs, n_outputs).
    pairs (Pairs): The pairs.
    """

    logits: ArrayT
    pairs: Pairs

    def __mul__(self, factor: float) -> "RelationScores":
        return replace(self, logits=self.logits * factor)

    def __add__(self, other: "RelationScores") -> "RelationScores":
        return replace(self, logits=self.logits + other.logits)


def pair_network(width: int, attrs: dict[str, Any]) -> HeadModelT:
    """Build the network.

    width (int): Width of its layers.
    attrs (dict[str, Any]): Attributes of the model, among them "labels" and "types" (list[str]), and "n_extra", the
        number of outputs before those of the labels.
    """
    layers: dict[str, Model[Any, Any]] = {
        "drop_tokens": dropout(),
        "cues": linear(width),
        "types": lookup_table(n_out=TYPE_WIDTH),
        "entity": linear(4 * width),
        "context": linear(2 * width, 3 * width, bias=False),
        "distance": lookup_table(2 * (len(DISTANCES) + 1), width),
        "drop_hidden": dropout(),
        "output": linear(n_in=2 * width),
        "type_bias": lookup_table(),
    }
    model: HeadModelT = Model("relation_extractor", forward, init=init, layers=list(layers.values()), attrs=attrs)
    for name, layer in layers.items():
        model.set_ref(name, layer)
    return model


def init(model: HeadModelT, X: HeadInput | None = None, Y: Any = None) -> None:
    """Set the sizes from the sample, the labels and the types."""
    assert X is not None
    n_types, n_out = len(model.attrs["types"]) + 1, n_outputs(model)
    # a table that has its vectors has been initialised before, maybe for other types
    for table, own_width in (("types", TYPE_WIDTH), ("type_bias", None)):
        if model.get_ref(table).has_param("E"):
            model.replace_node(model.get_ref(table), lookup_table(n_out=own_width))
    sizes = {"types": ("nV", n_types), "type_bias": ("nV", n_types**2), "output": ("nO", n_out)}
    for name, (dim, size) in sizes.items():
        model.get_ref(name).set_dim(dim, size, force=True)
    model.get_ref("type_bias").set_dim("nO", n_out, force=True)
    tokvecs: ArrayT = X.tokvecs.dataXd
    width = tokvecs.shape[1]
    model.get_ref("cues").set_dim("nI", width, force=True)
    model.get_ref("entity").set_dim("nI", 3 * width + TYPE_WIDTH, force=True)
    for layer in model.layers:
        layer.initialize()
    types: ArrayT = model.get_ref("types").get_param("E")
    types[1:] = model.ops.asarray(np.random.normal(scale=0.5, size=types[1:].shape).astype("float32"))


def n_outputs(model: HeadModelT) -> int:
    """The number of outputs that the labels need."""
    return int(model.attrs["n_extra"]) + len(model.attrs["labels"])


def forward(model: HeadModelT, X: HeadInput, is_train: bool) -> tuple[RelationScores, Any]:
    """RETURNS: The scores of the pairs in `X.prepared`, of which there are none without it, and backprop."""
    pairs = X.prepared if X.prepared is not None else no_pairs(X)
    if not is_train:
        return RelationScores(predicted_logits(model, X.tokvecs.dataXd, pairs), pairs), no_backprop
    tokens, bp_tokens = model.get_ref("drop_tokens")(X.tokvecs.dataXd, is_train)
    places = Places.of(pairs)
    entities, bp_entities = _entities(model, tokens, pairs, places)
    cues, bp_cues = _cues(model, tokens)
    logits, bp_logits = _score(model, entities, cues, pairs, places)

    def backprop(d_scores: RelationScores) -> HeadInput:
        d_entities, d_cues = bp_logits(d_scores.logits)
        d_tokens = bp_tokens(bp_entities(d_entities) + bp_cues(d_cues))
        return HeadInput([], Ragged(d_tokens, X.tokvecs.lengths), [])

    return RelationScores(logits, pairs), backprop


def no_backprop(d_scores: RelationScores) -> HeadInput:
    """Raise an error: nothing of a prediction is kept for backprop."""
    raise RuntimeError(
        "relation_extractor: there is no backprop after a prediction; run the network with is_train=True"
    )


def no_pairs(X: HeadInput) -> Pairs:
    """The pairs of a batch of which no entities are known."""
    lengths = np.array([len(doc) for doc in X.docs], dtype="int64")
    return Pairs(FoundSpans(NONE, NONE, NONE, NONE, ()), NONE, NONE, NONE, lengths, np.zeros_like(lengths))


def _entities(
    model: HeadModelT, tokens: ArrayT, pairs: Pairs, places: Places
) -> tuple[ArrayT, Callable[[ArrayT], ArrayT]]:
    """RETURNS: What each entity adds to its pairs, (n_entities, 4 * width): A and U as head, B and V as tail; and
    backprop to the tokens.
    """
    xp, width = get_array_module(tokens), tokens.shape[1]
    first, last = xp.asarray(places.starts), xp.asarray(places.ends - 1)
    largest, bp_largest = range_max(tokens, places.starts, places.ends, is_train=True)
    types, bp_types = model.get_ref("types")(pairs.types, True)
    vectors = xp.hstack([tokens[first], tokens[last], largest, types])
    Y, bp_Y = model.get_ref("entity")(vectors, True)

    def backprop(dY: ArrayT) -> ArrayT:
        d_vectors = bp_Y(dY)
        bp_types(d_vectors[:, 3 * width :])
        d_tokens = bp_largest(d_vectors[:, 2 * width : 3 * width])
        d_tokens += add_rows(model, d_vectors[:, :width], first, len(tokens))
        d_tokens += add_rows(model, d_vectors[:, width : 2 * width], last, len(tokens))
        return d_tokens

    return Y, backprop


def _cues(model: HeadModelT, tokens: ArrayT) -> tuple[ArrayT, Callable[[ArrayT], ArrayT]]:
    """RETURNS: What the tokens say about the pairs around them, (n_tokens, width), and backprop."""
    cues, bp_cues = model.get_ref("cues")(tokens, True)
    active = cues > 0
    return cues * active, lambda dY: bp_cues(dY * active)


def _score(
    model: HeadModelT, entities: ArrayT, cues: ArrayT, pairs: Pairs, places: Places
) -> tuple[ArrayT, Callable[[ArrayT], tuple[ArrayT, ArrayT]]]:
    """RETURNS: Logits of the pairs (2 * n_pairs, n_outputs), and backprop to entities and cues."""
    xp, width = get_array_module(entities), cues.shape[1]
    first, second = pairs.first, pairs.second
    heads, tails = (xp.asarray(interleave(*both)) for both in ((first, second), (second, first)))
    context, bp_context = _context(model, cues, places.contexts(first, second))
    distance, bp_distance = model.get_ref("distance")(places.distances(first, second), True)
    as_head, as_tail = entities[:, : 2 * width][heads], entities[:, 2 * width :][tails]
    left, right = as_head[:, width:], as_tail[:, width:]
    units = xp.empty((len(heads), 2 * width), dtype=entities.dtype)
    hidden = units[:, :width]
    xp.add(as_head[:, :width], as_tail[:, :width], out=hidden)
    hidden += context.reshape(hidden.shape)
    hidden += distance
    xp.maximum(hidden, 0.0, out=hidden)
    xp.multiply(left, right, out=units[:, width:])
    features, bp_features = model.get_ref("drop_hidden")(units, True)
    logits, bp_logits = model.get_ref("output")(features, True)
    n_types = len(model.attrs["types"]) + 1
    one, other = pairs.types[first], pairs.types[second]
    rows = interleave(one * n_types + other, other * n_types + one)
    bias, bp_bias = model.get_ref("type_bias")(rows, True)

    def backprop(d_logits: ArrayT) -> tuple[ArrayT, ArrayT]:
        bp_bias(d_logits)
        d_features = bp_features(bp_logits(d_logits))
        d_hidden, d_product = d_features[:, :width] * (hidden > 0), d_features[:, width:]
        bp_distance(d_hidden)
        d_heads = add_rows(model, xp.hstack([d_hidden, d_product * right]), heads, len(entities))
        d_tails = add_rows(model, xp.hstack([d_hidden, d_product * left]), tails, len(entities))
        return xp.hstack([d_heads, d_tails]), bp_context(d_hidden.reshape(context.shape))

    return logits + bias, backprop


def _context(model: HeadModelT, cues: ArrayT, ranges: list[RangesT]) -> tuple[ArrayT, Callable[[ArrayT], ArrayT]]:
    """RETURNS: What the contexts add to both directions of each pair, (n_pairs, 2 * width), and backprop to cues."""
    starts, ends = (np.stack(edges, axis=1).reshape(-1) for edges in zip(*ranges, strict=True))
    pooled, bp_pooled = range_max(cues, starts, ends, is_train=True)
    Y, bp_Y = model.get_ref("context")(pooled.reshape(-1, len(ranges) * cues.shape[1]), True)
    return Y, lambda dY: bp_pooled(bp_Y(dY).reshape(pooled.shape))
