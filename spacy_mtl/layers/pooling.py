"""Pooling of token vectors to one vector for each doc, for heads that classify docs."""

from collections.abc import Sequence
from typing import Any, Literal

from thinc.api import Model, ParametricAttention, chain, concatenate, reduce_sum
from thinc.types import Floats2d, Ragged
from thinc.util import to_numpy

from ..protocols.arrays import FloatsT
from .reducers import reduce_max, reduce_mean
from .softmax import softmax

PoolingT = Model[Ragged, Floats2d]
PoolingKindT = Literal["mean", "max", "attention"]
# name that thinc gives the layer
ATTENTION = "para-attn"
BUILDERS: dict[str, Any] = {
    "mean": reduce_mean,
    "max": reduce_max,
    "attention": lambda: chain(ParametricAttention(), reduce_sum()),
}


def pooling(kinds: Sequence[PoolingKindT]) -> PoolingT:
    """Build the layer that pools in each of several ways and concatenates the results.

    Ragged (n_tokens, width) -> (n_docs, width * len(kinds)). A doc without tokens has zeros.

    kinds (Sequence[str]): Any of "mean", "max" and "attention".
    """
    reducers = [BUILDERS[kind]() for kind in kinds]
    reduce = reducers[0] if len(reducers) == 1 else concatenate(*reducers)
    return Model("pooling", forward, init=init, layers=[reduce], attrs={"n_kinds": len(reducers)})


def forward(model: PoolingT, X: Ragged, is_train: bool) -> tuple[Floats2d, Any]:
    """Pool the docs that have tokens, since thinc's reducers refuse empty sequences.

    RETURNS: Vectors (n_docs, width * len(kinds)) and backprop: dY -> Ragged (n_tokens, width).
    """
    lengths = to_numpy(X.lengths)
    if len(lengths) and lengths.all():
        return model.layers[0](X, is_train)
    filled = X.lengths > 0
    Y = model.ops.alloc2f(len(X.lengths), X.dataXd.shape[-1] * model.attrs["n_kinds"])
    if not lengths.any():
        return Y, lambda dY: Ragged(X.dataXd * 0, X.lengths)
    pooled, bp_pooled = model.layers[0](Ragged(X.data, X.lengths[filled]), is_train)
    Y[filled] = pooled

    def backprop(dY: Floats2d) -> Ragged:
        return Ragged(bp_pooled(dY[filled]).data, X.lengths)

    return Y, backprop


def attention_weights(model: Model[Any, Any], tokvecs: Ragged) -> FloatsT | None:
    """Get the weight of each token of a single doc in a network that pools by attention, (n_tokens,), which sum to 1.
    None if no layer of the network does. Other ways of pooling beside it are left out.
    """
    found = [node for node in model.walk() if node.name == ATTENTION and node.has_param("Q")]
    if not found or not len(tokvecs.dataXd):
        return None
    logits: FloatsT = to_numpy(tokvecs.dataXd).astype("d") @ to_numpy(found[0].get_param("Q")).astype("d").ravel()
    return softmax(logits[None])[0]


def init(model: PoolingT, X: Ragged | None = None, Y: Floats2d | None = None) -> None:
    """Set the width of the attention from a sample."""
    model.layers[0].initialize(X)
