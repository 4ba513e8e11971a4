"""A CRF over the tokens of docs that are not white space; it may see the distributions that other heads predict."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB, ENT_TYPE, IS_SPACE
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Ragged
from thinc.util import get_array_module

from ..layers.dropout import dropout
from ..layers.linear import grown, linear
from ..protocols.arrays import ArrayT
from ..protocols.head import HeadInput, HeadModelT
from .linear_chain import CRFScores, crf
from .spans import is_blocked
from .tag_scheme import make_tag_scheme

TOKEN_ATTRS = [IS_SPACE, ENT_IOB, ENT_TYPE]


def conditioned_crf(name: str, n_conditions: int, attrs: dict[str, Any]) -> HeadModelT:
    """Build the network: token vectors and conditions -> CRF scores over the tokens that are not white space.

    name (str): Name of the model.
    n_conditions (int): Number of heads whose distributions it sees.
    attrs (dict[str, Any]): Attributes of the model, among them "labels" (list[str]) and "scheme" (str).
    """
    drop = dropout()
    layers: list[Model[Any, Any]] = [drop, crf(), linear()]
    layers.extend(linear(bias=False) for _ in range(n_conditions))
    return Model(name, forward, init=init, layers=layers, attrs=attrs)


def forward(model: HeadModelT, X: HeadInput, is_train: bool) -> tuple[CRFScores, Any]:
    """RETURNS: CRFScores, and backprop to the input."""
    for index, condition in enumerate(X.conditions, start=3):
        _fit_condition(model, index, condition.shape[1])
    drop, crf_layer, *projections = model.layers
    kept, lengths, blocked = _kept_tokens(X.docs)
    everything = len(kept) == len(X.tokvecs.dataXd)
    dropped, bp_dropped = drop(X.tokvecs.dataXd, is_train)
    inputs = [array if everything else array[kept] for array in (dropped, *X.conditions)]
    outputs = [layer(array, is_train) for layer, array in zip(projections, inputs, strict=True)]
    emissions = outputs[0][0]
    for output, _ in outputs[1:]:
        emissions += output
    scores, bp_scores = crf_layer((emissions, lengths, kept), is_train)
    if blocked.any() and not is_train:
        scheme = make_tag_scheme(model.attrs["scheme"], len(model.attrs["labels"]))
        scores.possible = scheme.around_blocked(blocked, kept)

    def backprop(d_scores: CRFScores) -> HeadInput:
        d_emissions = bp_scores(d_scores)
        d_inputs = [bp_output(d_emissions) for _, bp_output in outputs]
        if not everything:
            d_inputs = [scatter_rows(d_input, kept, len(dropped)) for d_input in d_inputs]
        return HeadInput([], Ragged(bp_dropped(d_inputs[0]), X.tokvecs.lengths), d_inputs[1:])

    return scores, backprop


def init(model: HeadModelT, X: HeadInput | None = None, Y: Any = None) -> None:
    """Set the sizes from the sample and the labels."""
    assert X is not None
    n_tags = make_tag_scheme(model.attrs["scheme"], len(model.attrs["labels"])).n_tags
    _, crf_layer, *projections = model.layers
    crf_layer.set_dim("nO", n_tags, force=True)
    crf_layer.initialize()
    for layer, array in zip(projections, (X.tokvecs.dataXd, *X.conditions), strict=True):
        layer.set_dim("nO", n_tags, force=True)
        layer.initialize(array)


def _fit_condition(model: HeadModelT, index: int, width: int) -> None:
    """Grow the projection of a condition when the other head has got new labels since."""
    layer = model.layers[index]
    if layer.has_param("W") and layer.get_dim("nI") < width:
        model.replace_node(layer, grown(layer, n_in=width))


def _kept_tokens(docs: Sequence[Doc]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """RETURNS: places in the batch of the tokens that are not white space, (n_kept,), their number in each doc, and
    whether each token of the batch is blocked, (n_tokens,).
    """
    if not docs:
        return np.zeros(0, dtype="int64"), np.zeros(0, dtype="int64"), np.zeros(0, dtype=bool)
    values = [doc.to_array(TOKEN_ATTRS) for doc in docs]
    flat = np.concatenate(values)
    is_space = flat[:, 0].astype(bool)
    lengths = np.array([len(rows) for rows in values])
    if is_space.any():
        owner = np.repeat(np.arange(len(docs)), lengths)
        lengths = lengths - np.bincount(owner[is_space], minlength=len(docs))
    return np.flatnonzero(~is_space), lengths, is_blocked(flat[:, 1:])


def scatter_rows(rows: ArrayT, kept: ArrayT, size: int) -> ArrayT:
    """Put rows (n_kept, width) at their places among `size` rows, the others of which are zero."""
    xp = get_array_module(rows)
    scattered = xp.zeros((size, rows.shape[1]), dtype=rows.dtype)
    scattered[kept] = rows
    return scattered
