"""The scores of pairs in prediction: those of `pair_network`, with less work and no backprop.

- A direction that the types leave no label for is not scored.
- The context before the first argument depends on that entity alone, and so does the one behind the last, but for
  entities inside of others. They are multiplied with their weights once an entity, not once a pair.
- The first token, the last one and the maximum of an entity of one token are the same vector, whose weights are added
  up before.
"""

import numpy as np
from thinc.util import get_array_module

from ...protocols.arrays import ArrayT, IntsT
from ...protocols.head import HeadModelT
from .candidate_pairs import Pairs
from .places import Places
from .range_max import range_max, take_rows

# pairs that are scored at once
BLOCK = 2**14


def predicted_logits(model: HeadModelT, tokens: ArrayT, pairs: Pairs) -> ArrayT:
    """Compute the logits of all directed pairs, (2 * n_pairs, n_outputs): 0 for those that no label is possible for.

    tokens (Floats2d): The shared vectors, (n_tokens, width).
    """
    xp = get_array_module(tokens)
    logits = xp.zeros((2 * len(pairs.first), model.get_ref("output").get_dim("nO")), dtype=tokens.dtype)
    if not len(pairs.first):
        return logits
    cues: ArrayT = model.get_ref("cues").predict(tokens)
    rectify(cues)
    for start in range(0, len(pairs.first), BLOCK):
        rows, found = _score(model, tokens, cues, pairs.block(start, BLOCK))
        logits[xp.asarray(2 * start + rows)] = found
    return logits


def _score(model: HeadModelT, tokens: ArrayT, cues: ArrayT, pairs: Pairs) -> tuple[IntsT, ArrayT]:
    """RETURNS: The rows that a label is possible for, those from first to second before the others, (n,), and their
    logits (n, n_outputs).
    """
    xp, width = get_array_module(tokens), cues.shape[1]
    forward, backward = _directions(pairs)
    own, is_back = np.concatenate([forward, backward]), np.repeat([0, 1], [len(forward), len(backward)])
    heads = np.concatenate([pairs.first[forward], pairs.second[backward]])
    tails = np.concatenate([pairs.second[forward], pairs.first[backward]])
    places = Places.of(pairs)
    entities, row_of = _entities(model, tokens, pairs, places)
    as_head, as_tail = 4 * row_of[heads], 4 * row_of[tails] + 2
    between, contexts, before, behind = _contexts(model, cues, pairs, places)
    hidden = xp.empty((len(own), width), dtype=tokens.dtype)
    W: ArrayT = model.get_ref("context").get_param("W")
    edge = len(forward)
    xp.matmul(take_rows(between, forward), W[:width, :width].T, out=hidden[:edge])
    xp.matmul(take_rows(between, backward), W[width:, :width].T, out=hidden[edge:])
    hidden += take_rows(contexts, 2 * before[own] + is_back)
    hidden += take_rows(contexts, 2 * behind[own] + is_back)
    distances = places.distances(pairs.first, pairs.second)
    hidden += take_rows(model.get_ref("distance").get_param("E"), distances[2 * own + is_back])
    hidden += take_rows(entities, as_head)
    hidden += take_rows(entities, as_tail)
    rectify(hidden)
    product = take_rows(entities, as_head + 1)
    product *= take_rows(entities, as_tail + 1)
    return 2 * own + is_back, _logits(model, hidden, product, pairs.types[heads], pairs.types[tails])


def _logits(model: HeadModelT, hidden: ArrayT, product: ArrayT, heads: IntsT, tails: IntsT) -> ArrayT:
    """The logits of rows, (n, n_outputs). heads, tails: The types of the arguments."""
    width, output = hidden.shape[1], model.get_ref("output")
    W: ArrayT = output.get_param("W")
    logits: ArrayT = hidden @ W[:, :width].T
    logits += product @ W[:, width:].T
    logits += output.get_param("b")
    n_types = len(model.attrs["types"]) + 1
    logits += take_rows(model.get_ref("type_bias").get_param("E"), heads * n_types + tails)
    return logits


def _directions(pairs: Pairs) -> tuple[IntsT, IntsT]:
    """The pairs to score from first to second, and from second to first."""
    if pairs.possible is None:
        rows = np.arange(len(pairs.first))
        return rows, rows
    return np.flatnonzero(pairs.possible[::2]), np.flatnonzero(pairs.possible[1::2])


def _entities(model: HeadModelT, tokens: ArrayT, pairs: Pairs, places: Places) -> tuple[ArrayT, IntsT]:
    """RETURNS: What entities add to their pairs, four rows each: in the sum and in the product as head, and the same as
    tail, (4 * n_entities, width). And the place of each entity, since those of one token come first, (n_entities,).
    """
    xp, width = get_array_module(tokens), tokens.shape[1]
    layer, types = model.get_ref("entity"), model.get_ref("types").get_param("E")
    W: ArrayT = layer.get_param("W")
    is_long = places.ends - places.starts > 1
    order = np.argsort(is_long, kind="stable")
    edge = len(order) - int(np.count_nonzero(is_long))
    of_types = types @ W[:, 3 * width :].T
    of_types += layer.get_param("b")
    Y = take_rows(of_types, pairs.types[order])
    of_first, of_last, of_largest = (W[:, start : start + width] for start in (0, width, 2 * width))
    Y[:edge] += take_rows(tokens, places.starts[order[:edge]]) @ (of_first + of_last + of_largest).T
    starts, ends = places.starts[order[edge:]], places.ends[order[edge:]]
    largest, _ = range_max(tokens, starts, ends, is_train=False)
    vectors = xp.hstack([take_rows(tokens, starts), take_rows(tokens, ends - 1), largest])
    Y[edge:] += vectors @ W[:, : 3 * width].T
    row_of = np.empty_like(order)
    row_of[order] = np.arange(len(order))
    return Y.reshape(4 * len(order), -1), row_of


def _contexts(model: HeadModelT, cues: ArrayT, pairs: Pairs, places: Places) -> tuple[ArrayT, ArrayT, IntsT, IntsT]:
    """RETURNS: The maxima between the entities of each pair, (n_pairs, width); what contexts before and behind entities
    add, two rows each: in the direction of the text and in the other one, (2 * n_contexts, width); and the contexts
    before and behind each pair, (n_pairs,) each.
    """
    xp, width, n_pairs = get_array_module(cues), cues.shape[1], len(pairs.first)
    first, before = _used(pairs.first, len(pairs.types))
    last, behind = _used(places.last(pairs.first, pairs.second), len(pairs.types))
    ranges = (places.between(pairs.first, pairs.second), places.before(first), places.behind(last))
    starts, ends = (np.concatenate(edges) for edges in zip(*ranges, strict=True))
    pooled, _ = range_max(cues, starts, ends, is_train=False)
    W: ArrayT = model.get_ref("context").get_param("W")
    contexts = xp.empty((len(first) + len(last), W.shape[0]), dtype=cues.dtype)
    edge = n_pairs + len(first)
    xp.matmul(pooled[n_pairs:edge], W[:, width : 2 * width].T, out=contexts[: len(first)])
    xp.matmul(pooled[edge:], W[:, 2 * width :].T, out=contexts[len(first) :])
    return pooled[:n_pairs], contexts.reshape(-1, width), before, behind + len(first)


def _used(rows: IntsT, size: int) -> tuple[IntsT, IntsT]:
    """RETURNS: The numbers below a size that occur, in order, and the place of each row in them."""
    occurs = np.zeros(size, dtype=bool)
    occurs[rows] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[rows]


def rectify(values: ArrayT) -> None:
    """Set negative numbers to 0, in place, (n, width)."""
    xp = get_array_module(values)
    # against a row numpy is twice as fast as against a number
    xp.maximum(values, xp.zeros((1, values.shape[1]), dtype=values.dtype), out=values)
