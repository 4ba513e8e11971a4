"""The network of heads that classify docs: token vectors are pooled and projected to one logit for each label."""

from collections.abc import Callable
from typing import Any

from thinc.api import Model
from thinc.types import Floats2d, Ragged

from ..protocols.head import HeadInput, HeadModelT
from .linear import linear


def doc_logits(
    name: str, pool: Model[Ragged, Floats2d], attrs: dict[str, Any], init: Callable[..., None] | None = None
) -> HeadModelT:
    """Build the network: HeadInput -> logits (n_docs, n_labels).

    name (str): Name of the model.
    pool (Model[Ragged, Floats2d]): Layer that turns token vectors into one vector for each doc.
    attrs (dict[str, Any]): Attributes of the model, among them "labels".
    init (Callable | None): Function that initialises the model; None for `init_doc_logits`.
    """
    output = linear()
    model: HeadModelT = Model(name, forward, init=init or init_doc_logits, layers=[pool, output], attrs=attrs)
    model.set_ref("output", output)
    return model


def forward(model: HeadModelT, X: HeadInput, is_train: bool) -> tuple[Floats2d, Any]:
    """RETURNS: Logits (n_docs, n_labels), and backprop: d_logits -> the gradient of the token vectors."""
    pooled, bp_pooled = model.layers[0](X.tokvecs, is_train)
    logits, bp_logits = model.get_ref("output")(pooled, is_train)

    def backprop(d_logits: Floats2d) -> HeadInput:
        return HeadInput([], bp_pooled(bp_logits(d_logits)), [])

    return logits, backprop


def init_doc_logits(model: HeadModelT, X: HeadInput | None = None, Y: Any = None) -> None:
    """Set the input width from a sample and the output width from the labels, and initialise the weights."""
    assert X is not None
    model.layers[0].initialize(X.tokvecs)
    output = model.get_ref("output")
    output.set_dim("nO", len(model.attrs["labels"]), force=True)
    output.initialize(model.layers[0].predict(X.tokvecs))
