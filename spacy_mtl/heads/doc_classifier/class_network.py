"""The network of a classifier that scores more than its classes: how many apply, or which ones near each token."""

from collections.abc import Callable
from typing import Any

from thinc.api import Model
from thinc.types import Floats2d, Ragged

from ...layers.dropout import dropout
from ...layers.linear import linear
from ...protocols.arrays import ArrayT
from ...protocols.head import HeadInput, HeadModelT
from .class_attention import attend, pool
from .class_counts import N_COUNTS
from .class_scores import ClassScores

CountsT = tuple[ArrayT, Callable[[ArrayT], ArrayT]]
NearT = tuple[ArrayT, ArrayT, ArrayT, Callable[[ArrayT, ArrayT, ArrayT], ArrayT]]


def class_network(
    name: str, doc_pool: Model[Ragged, Floats2d], attrs: dict[str, Any], *, counts: bool, near: bool
) -> HeadModelT:
    """Build the network: HeadInput -> ClassScores.

    name (str): Name of the model.
    doc_pool (Model[Ragged, Floats2d]): Layer that turns token vectors into one vector for each doc.
    attrs (dict[str, Any]): Attributes of the model, among them "labels".
    counts (bool): Whether to score how many classes apply.
    near (bool): Whether to score each token for each class. The logits of a doc then have the average over its tokens
        added, each class with an attention of its own.
    """
    refs: dict[str, Model[Any, Any]] = {"pool": doc_pool, "output": linear()}
    if counts:
        refs["counts"] = linear(N_COUNTS)
    if near:
        refs |= {"dropout": dropout(), "near": linear(), "attention": linear(bias=False)}
    return Model(name, forward, init=init, layers=list(refs.values()), refs={**refs}, attrs=attrs)


def forward(model: HeadModelT, X: HeadInput, is_train: bool) -> tuple[ClassScores, Any]:
    """RETURNS: The scores, and backprop: their gradient -> the gradient of the token vectors."""
    vectors, bp_vectors = model.get_ref("pool")(X.tokvecs, is_train)
    logits, bp_logits = model.get_ref("output")(vectors, is_train)
    counts, bp_counts = _score_counts(model, vectors, is_train)
    added, weights, weighted, bp_near = _score_tokens(model, X.tokvecs, len(logits), is_train)

    def backprop(d_scores: ClassScores) -> HeadInput:
        d_vectors = bp_logits(d_scores.logits) + bp_counts(d_scores.counts)
        d_tokvecs = bp_vectors(d_vectors).dataXd + bp_near(d_scores.logits, d_scores.weights, d_scores.weighted)
        return HeadInput([], Ragged(d_tokvecs, X.tokvecs.lengths), [])

    return ClassScores(logits + added, counts, weights, weighted), backprop


def init(model: HeadModelT, X: HeadInput | None = None, Y: Any = None) -> None:
    """Set the sizes from the sample and the labels. All tokens get the same attention at first."""
    assert X is not None
    doc_pool, n_labels = model.get_ref("pool"), len(model.attrs["labels"])
    doc_pool.initialize(X.tokvecs)
    vectors = doc_pool.predict(X.tokvecs)
    for name, sample in (
        ("output", vectors),
        ("counts", vectors),
        ("near", X.tokvecs.dataXd),
        ("attention", X.tokvecs.dataXd),
    ):
        layer = model.maybe_get_ref(name)
        if layer is not None:
            layer.set_dim("nO", N_COUNTS if name == "counts" else n_labels, force=True)
            layer.initialize(sample)
    attention = model.maybe_get_ref("attention")
    if attention is not None:
        attention.set_param("W", attention.get_param("W") * 0)


def _score_counts(model: HeadModelT, vectors: Floats2d, is_train: bool) -> CountsT:
    layer = model.maybe_get_ref("counts")
    if layer is None:
        return model.ops.alloc2f(len(vectors), 0), lambda d_counts: 0.0
    return layer(vectors, is_train)


def _score_tokens(model: HeadModelT, tokvecs: Ragged, n_docs: int, is_train: bool) -> NearT:
    """RETURNS: What the logits of the docs have added, (n_docs, n_labels), weights and weighted logits of the tokens,
    and backprop of the three.
    """
    if not model.has_ref("near"):
        nothing: ArrayT = model.ops.alloc2f(len(tokvecs.dataXd), 0)
        return 0.0, nothing, nothing, lambda d_added, d_weights, d_weighted: 0.0
    dropped, bp_dropped = model.get_ref("dropout")(tokvecs.dataXd, is_train)
    logits, bp_logits = model.get_ref("near")(dropped, is_train)
    raw, bp_raw = model.get_ref("attention")(dropped, is_train)
    weights, bp_weights = attend(raw)
    weighted = weights * logits
    added, bp_added = pool(weights, weighted, tokvecs.lengths)

    def backprop(d_added: ArrayT, d_weights: ArrayT, d_weighted: ArrayT) -> ArrayT:
        own_weights, own_weighted = bp_added(d_added)
        d_weighted = d_weighted + own_weighted
        d_weights = d_weights + own_weights + d_weighted * logits
        return bp_dropped(bp_logits(d_weighted * weights) + bp_raw(bp_weights(d_weights)))

    return added, weights, weighted, backprop
