"""Residual bottleneck adapters between the shared encoder and the heads, one for each head or for each corpus."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from thinc.api import Model, glorot_uniform_init
from thinc.types import Floats2d, Ragged

from ..layers.layer_norm import layer_norm
from ..origin import corpus_of
from ..protocols.arrays import ArrayT
from ..protocols.sharing import SharingInput, SharingT

ByT = Literal["head", "corpus"]
PARAMS = ("down_W", "down_b", "up_W", "up_b")


def make_adapters_v1(by: ByT, width: int = 24, bypass: float = 0.0) -> SharingT:
    """Build residual bottleneck adapters: `h + up(relu(down(layer_norm(h))))` (Houlsby et al. 2019,
    "Parameter-Efficient Transfer Learning for NLP", ICML; one per domain: Bapna and Firat 2019, "Simple, Scalable
    Adaptation for Neural Machine Translation", EMNLP).

    Shared vectors `(n_tokens, width)` become a view of the same shape for each head. `up` starts at zero, so a new
    adapter changes nothing. An adapter that gets no gradient in a step keeps its weights exactly.

    by (str): `"head"`: one adapter for each head, trained by that head alone. `"corpus"`: one adapter for each corpus
        seen at initialisation, shared by all heads; docs of another corpus, or of none, pass through unchanged. The
        name of a doc's corpus is `doc.user_data["spacy_mtl.corpus"]`; it is an error if no doc has one.
    width (int): Width of the bottleneck.
    bypass (float): Share of the docs that skip their adapter in training, so that the heads also learn from vectors
        like those of docs of an unknown corpus. Only used with `by = "corpus"`.
    """
    if by not in ("head", "corpus"):
        raise ValueError(f"Adapters: by is {by!r}, expected 'head' or 'corpus'")
    if width < 1:
        raise ValueError(f"Adapters: width is {width}; it must be at least 1")
    if not 0.0 <= bypass < 1.0:
        raise ValueError(f"Adapters: bypass is {bypass}; it must be at least 0 and less than 1")
    if bypass and by == "head":
        raise ValueError(f"Adapters: bypass is {bypass}, but by is 'head'; it needs by = 'corpus', so set it to 0.0")
    forward = forward_by_head if by == "head" else partial(forward_by_corpus, bypass=bypass)
    attrs: dict[str, Any] = {"by": by, "heads": [], "corpora": [], "mixes_heads": False}
    model: SharingT = Model("adapters", forward, init=init, dims={"nI": None, "nB": width}, attrs=attrs)
    return model


def forward_by_head(model: SharingT, X: SharingInput, is_train: bool) -> tuple[dict[str, Ragged], Any]:
    """RETURNS: The view of each head, and backprop, which takes the gradients of the views of any heads."""
    lengths = X.tokvecs.lengths
    adapted = {head: adapt(model, head, cast(Floats2d, X.tokvecs.dataXd)) for head in model.attrs["heads"]}

    def backprop(d_views: Mapping[str, Ragged]) -> SharingInput:
        d_tokvecs: ArrayT = X.tokvecs.dataXd * 0
        for head, d_view in d_views.items():
            d_tokvecs += adapted[head][1](cast(Floats2d, d_view.dataXd))
        return SharingInput([], Ragged(d_tokvecs, lengths))

    return {head: Ragged(view, lengths) for head, (view, _) in adapted.items()}, backprop


def forward_by_corpus(
    model: SharingT, X: SharingInput, is_train: bool, *, bypass: float
) -> tuple[dict[str, Ragged], Any]:
    """RETURNS: One view for all heads, and backprop, which takes the gradients of the views of any heads."""
    lengths = X.tokvecs.lengths
    view: ArrayT = X.tokvecs.dataXd.copy()
    parts = []
    for corpus, rows in rows_by_corpus(X, model.attrs["corpora"], bypass if is_train else 0.0).items():
        view[rows], backprop_part = adapt(model, corpus, view[rows])
        parts.append((rows, backprop_part))

    def backprop(d_views: Mapping[str, Ragged]) -> SharingInput:
        d_tokvecs: ArrayT = view * 0
        for d_view in d_views.values():
            d_tokvecs += d_view.dataXd
        for rows, backprop_part in parts:
            d_tokvecs[rows] = backprop_part(d_tokvecs[rows])
        return SharingInput([], Ragged(d_tokvecs, lengths))

    return dict.fromkeys(model.attrs["heads"], Ragged(view, lengths)), backprop


def adapt(model: SharingT, name: str, X: Floats2d) -> tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
    """Apply one adapter. RETURNS: Y (n_tokens, width) and backprop: dY -> dX, of the same shape."""
    down_W, down_b, up_W, up_b = (_get(model, f"{name}/{param}") for param in PARAMS)
    normed, bp_normed = layer_norm(X)
    hidden: ArrayT = (normed @ down_W.T + down_b).clip(min=0)

    def backprop(dY: Floats2d) -> Floats2d:
        d_hidden = (dY @ up_W) * (hidden > 0)
        model.inc_grad(f"{name}/up_W", dY.T @ hidden)
        model.inc_grad(f"{name}/up_b", dY.sum(axis=0))
        model.inc_grad(f"{name}/down_W", d_hidden.T @ normed)
        model.inc_grad(f"{name}/down_b", d_hidden.sum(axis=0))
        return dY + bp_normed(d_hidden @ down_W)

    return X + hidden @ up_W.T + up_b, backprop


def rows_by_corpus(X: SharingInput, known: list[str], bypass: float) -> dict[str, NDArray[np.int64]]:
    """Return the rows of the tokens of each known corpus.

    X (SharingInput): The docs and their vectors.
    known (list[str]): Names of the corpora that have an adapter.
    bypass (float): Probability that a doc is left out.
    """
    names = [corpus_of(doc) for doc in X.docs]
    if bypass:
        names = [None if out else name for out, name in zip(np.random.random(len(names)) < bypass, names, strict=True)]
    indices = {name: index for index, name in enumerate(known)}
    of_doc = np.array([indices.get(name, -1) for name in names], dtype="int64")  # type: ignore[arg-type]
    of_token = np.repeat(of_doc, [len(doc) for doc in X.docs])
    return {known[index]: np.flatnonzero(of_token == index) for index in np.unique(of_doc[of_doc >= 0]).tolist()}


def init(model: SharingT, X: SharingInput | None = None, Y: Any = None) -> None:
    """Initialise an adapter for each head or corpus. Raises a ValueError if the sample names no corpus."""
    assert X is not None
    names = model.attrs["heads"] if model.attrs["by"] == "head" else model.attrs["corpora"]
    if not names:
        raise ValueError(
            "Adapters: by is 'corpus', but no doc to initialise from names its corpus; read the docs with "
            "spacy_mtl.MultiCorpus.v1, or write the name to user_data['spacy_mtl.corpus'] of gold and predicted docs"
        )
    n_in, n_hidden = X.tokvecs.dataXd.shape[-1], model.get_dim("nB")
    model.set_dim("nI", n_in)
    for name in names:
        model.set_param(f"{name}/down_W", glorot_uniform_init(model.ops, (n_hidden, n_in)))
        model.set_param(f"{name}/down_b", model.ops.alloc1f(n_hidden))
        model.set_param(f"{name}/up_W", model.ops.alloc2f(n_in, n_hidden))
        model.set_param(f"{name}/up_b", model.ops.alloc1f(n_in))


def _get(model: SharingT, param: str) -> ArrayT:
    return model.get_param(param)
