"""The network of the parser: token vectors -> the vectors that arcs and labels are scored by."""

import math
from typing import Any

import numpy as np
from thinc.api import Model, Ops
from thinc.types import Ragged
from thinc.util import get_array_module

from ...layers.conditioned_linear import conditioned_linear
from ...layers.dropout import dropout
from ...layers.linear import linear
from ...protocols.arrays import ArrayT
from ...protocols.head import HeadInput, HeadModelT
from .arc_scores import N_BETWEEN, N_DISTANCES, ArcScores
from .gated_recurrence import gated_recurrence

PARAMS = ("root", "label_root", "label_distances", "label_weights")
# layers of the network before the recurrent ones
N_OWN = 6
# widths of what a token gives besides its vector, as a dependent and as a head
DEPENDENT_WIDTHS = (N_DISTANCES, 2 * N_BETWEEN)
HEAD_WIDTHS = (N_DISTANCES, N_BETWEEN, 2 * N_BETWEEN)


def build_model(
    arc_width: int, label_width: int, mlp_dropout: float, n_conditions: int, context_width: int, context_depth: int
) -> HeadModelT:
    """Build the network: recurrent layers that see the whole doc, then one layer of rectified units for each of
    dependents, heads, and both for labels. That layer sees token vectors, conditions and recurrent states.
    """
    hidden = conditioned_linear(n_conditions + (context_depth > 0), 2 * (arc_width + label_width))
    of_dependents = linear(arc_width + sum(DEPENDENT_WIDTHS), arc_width)
    of_heads = linear(sum(HEAD_WIDTHS), arc_width)
    layers: list[Model[Any, Any]] = [dropout(), hidden, dropout(), of_dependents, of_heads, biaffine_weights()]
    for _ in range(context_depth):
        layers += [gated_recurrence(context_width), dropout()]
    attrs = {"labels": [], "arc_width": arc_width, "label_width": label_width, "mlp_dropout": mlp_dropout}
    return Model("dependency_parser", forward, init=init, layers=layers, attrs=attrs)


def biaffine_weights() -> Model[Any, Any]:
    """Hold the parameters that scores are computed from: they are a node, so that a larger one can replace it."""
    return Model("biaffine_weights", refuse_forward, params=dict.fromkeys(PARAMS))


def refuse_forward(model: Model[Any, Any], X: Any, is_train: bool) -> Any:
    """Raise an error: the scores are computed bucket by bucket, by the head."""
    raise NotImplementedError("biaffine_weights: it holds parameters; score_arcs and score_labels use them")


def forward(model: HeadModelT, X: HeadInput, is_train: bool) -> tuple[ArcScores, Any]:
    """RETURNS: ArcScores, and backprop to the input."""
    drop, hidden, hidden_drop, of_dependents, of_heads, weights, *context = model.layers
    arc_width, label_width = model.attrs["arc_width"], model.attrs["label_width"]
    # no dropout at all, as in rehearsal, is meant for these layers too
    for node in (hidden_drop, *context[1::2]):
        node.attrs["dropout_rate"] = model.attrs["mlp_dropout"] if drop.attrs["dropout_rate"] else 0.0
    dropped, bp_dropped = drop(X.tokvecs.dataXd, is_train)
    states, bp_states = _run(context, dropped, X.tokvecs.lengths, is_train)
    linears, bp_hidden = hidden([dropped, *X.conditions, *states], is_train)
    rectified: ArrayT = get_array_module(linears).maximum(linears, 0.0, out=linears)
    units, bp_units = hidden_drop(rectified, is_train)
    edges = (arc_width, 2 * arc_width, 2 * arc_width + label_width)
    dependents, bp_dependents = of_dependents(units[:, : edges[0]], is_train)
    heads, bp_heads = of_heads(units[:, edges[0] : edges[1]], is_train)
    xp = get_array_module(units)
    vectors, distances, passing = xp.split(dependents, np.cumsum([arc_width, *DEPENDENT_WIDTHS[:-1]]), axis=1)
    head_distances, between, passed = xp.split(heads, np.cumsum(HEAD_WIDTHS[:-1]), axis=1)
    scores = ArcScores(
        vectors,
        units[:, edges[0] : edges[1]],
        weights.get_param("root"),
        distances,
        head_distances,
        between,
        passing,
        passed,
        units[:, edges[1] : edges[2]],
        units[:, edges[2] :],
        weights.get_param("label_root"),
        weights.get_param("label_distances"),
        weights.get_param("label_weights"),
        docs=X.docs,
        starts=X.prepared,
    )

    def backprop(d_scores: ArcScores) -> HeadInput:
        for name in PARAMS:
            weights.inc_grad(name, getattr(d_scores, name))
        d_dependents = bp_dependents(
            xp.concatenate([d_scores.dependents, d_scores.distances, d_scores.passing], axis=1)
        )
        d_heads = bp_heads(xp.concatenate([d_scores.head_distances, d_scores.between, d_scores.passed], axis=1))
        parts = [d_dependents, d_scores.heads + d_heads, d_scores.label_dependents, d_scores.label_heads]
        d_units = bp_units(xp.concatenate(parts, axis=1))
        d_dropped, *d_others = bp_hidden(d_units * (rectified > 0))
        if states:
            d_dropped = d_dropped + bp_states(d_others.pop())
        return HeadInput([], Ragged(bp_dropped(d_dropped), X.tokvecs.lengths), d_others)

    return scores, backprop


def init(model: HeadModelT, X: HeadInput | None = None, Y: Any = None) -> None:
    """Set the input widths from the sample, and draw the weights."""
    assert X is not None
    _, hidden, _, of_dependents, of_heads, weights, *context = model.layers
    states = X.tokvecs
    for recurrence in context[::2]:
        recurrence.initialize(states)
        states = Ragged(recurrence.predict(states), X.tokvecs.lengths)
    hidden.initialize([X.tokvecs.dataXd, *X.conditions, *([states.dataXd] if context else [])])
    for output in (of_dependents, of_heads):
        output.initialize()
        # products of two vectors, which would be large at first
        output.set_param("W", output.get_param("W") / math.sqrt(model.attrs["arc_width"]))
    arc_width, label_width, labels = (model.attrs[key] for key in ("arc_width", "label_width", "labels"))
    size = label_width + 1
    weights.set_param("root", draw(model.ops, (arc_width,), 1.0 / math.sqrt(arc_width)))
    weights.set_param("label_root", draw(model.ops, (label_width,), 1.0 / math.sqrt(label_width)))
    weights.set_param("label_distances", draw(model.ops, (N_DISTANCES, label_width), 1.0 / math.sqrt(label_width)))
    weights.set_param("label_weights", draw(model.ops, (len(labels), size, size), 0.3 / size))


def draw(ops: Ops, shape: tuple[int, ...], deviation: float) -> ArrayT:
    """Draw weights from a normal distribution."""
    weights: ArrayT = np.random.normal(scale=deviation, size=shape).astype("f")
    return ops.asarray(weights)


def grow_labels(model: HeadModelT, n_labels: int) -> None:
    """Add labels, if the network has been initialised already. Their weights are 0."""
    old = model.layers[N_OWN - 1]
    if old.has_param("label_weights"):
        weights: ArrayT = old.get_param("label_weights")
        larger = get_array_module(weights).zeros((n_labels, *weights.shape[1:]), dtype=weights.dtype)
        larger[: len(weights)] = weights
        new = biaffine_weights()
        for name in PARAMS:
            new.set_param(name, larger if name == "label_weights" else old.get_param(name))
        model.replace_node(old, new)


def _run(context: list[Model[Any, Any]], vectors: ArrayT, lengths: ArrayT, is_train: bool) -> tuple[list[ArrayT], Any]:
    """Run the recurrent layers, each followed by its dropout.

    RETURNS: the states, (n_tokens, 2 * context_width), in a list that is empty without such layers; and backprop.
    """
    backprops = []
    states = vectors
    for recurrence, drop in zip(context[::2], context[1::2], strict=True):
        states, bp_states = recurrence(Ragged(states, lengths), is_train)
        states, bp_drop = drop(states, is_train)
        backprops.append((bp_states, bp_drop))

    def backprop(gradient: ArrayT) -> ArrayT:
        for bp_states, bp_drop in reversed(backprops):
            gradient = bp_states(bp_drop(gradient)).dataXd
        return gradient

    return [states] if context else [], backprop
