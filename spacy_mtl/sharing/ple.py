"""Experts of each head beside experts that all heads share, in one or several levels."""

from collections.abc import Callable, Mapping
from typing import Any

from thinc.api import Model
from thinc.types import Ragged

from ..layers.gated_experts import begin_experts, begin_mix, init_experts
from ..protocols.arrays import ArrayT
from ..protocols.sharing import SharingInput, SharingT

# gradients of the heads' vectors that have any, and of the shared vectors -> those of what the level read
LevelBackpropT = Callable[[dict[str, ArrayT], ArrayT | None], tuple[dict[str, ArrayT], ArrayT]]


def make_ple_v1(n_shared: int = 2, n_own: int = 1, width: int = 96, n_levels: int = 1) -> SharingT:
    """Build progressive layered extraction, which keeps what heads share apart from what is their own (Tang et al.
    2020, "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning Model for Personalized Recommendations",
    RecSys). With one level it is customized gate control (CGC) of the same paper.

    In each level, with `h[k]` what head k has of a token and `s` what is shared, both of which are the shared vector in
    the first level:

        own[k, e]    = relu(W[k, e] @ h[k] + b[k, e])
        shared[e]    = relu(W[e] @ s + b[e])
        next h[k]    = mix of own[k] and shared, by softmax(G[k] @ h[k])
        next s       = mix of the own experts of all heads and shared, by softmax(G @ s)

    The last level has no next `s`; its `h[k]` are the heads' views. Shared vectors `(n_tokens, n_in)` become a view
    `(n_tokens, width)` for each head. Gates start at zero: all experts count alike. A loss reaches the own experts of
    another head only through the next `s` of a level, so with one level not at all. A level that reads vectors of width
    n adds, for m heads, `(m * n_own + n_shared) * (n + 1) * width` parameters for the experts and
    `m * (n_own + n_shared) * n` for the gates; all but the last also have `(m * n_own + n_shared) * n` for `G`.

    n_shared (int): Number of experts that all heads share, in each level.
    n_own (int): Number of experts of each head, in each level.
    width (int): Width of the experts' vectors, and so of each head's view.
    n_levels (int): Number of levels.
    """
    for name, value in (("n_shared", n_shared), ("n_own", n_own), ("width", width), ("n_levels", n_levels)):
        if value < 1:
            raise ValueError(f"PLE: {name} is {value}; it must be at least 1")
    attrs: dict[str, Any] = {"heads": [], "n_shared": n_shared, "n_own": n_own, "n_levels": n_levels}
    attrs["mixes_heads"] = n_levels > 1
    model: SharingT = Model("ple", forward, init=init, dims={"nI": None, "nO": width}, attrs=attrs)
    return model


def forward(model: SharingT, X: SharingInput, is_train: bool) -> tuple[dict[str, Ragged], Any]:
    """RETURNS: The view of each head, and backprop, which takes the gradients of the views of any heads."""
    lengths = X.tokvecs.lengths
    shared: ArrayT = X.tokvecs.dataXd
    own: dict[str, ArrayT] = dict.fromkeys(model.attrs["heads"], shared)
    backprops = []
    for level in range(model.attrs["n_levels"]):
        own, shared, backprop_level = begin_level(model, level, own, shared)
        backprops.append(backprop_level)

    def backprop(d_views: Mapping[str, Ragged]) -> SharingInput:
        d_own: dict[str, ArrayT] = {head: d_view.dataXd for head, d_view in d_views.items()}
        d_shared: ArrayT | None = None
        for backprop_level in reversed(backprops):
            d_own, d_shared = backprop_level(d_own, d_shared)
        d_tokvecs: ArrayT = d_shared
        for d_vectors in d_own.values():
            d_tokvecs = d_tokvecs + d_vectors
        return SharingInput([], Ragged(d_tokvecs, lengths))

    return {head: Ragged(view, lengths) for head, view in own.items()}, backprop


def begin_level(
    model: SharingT, level: int, own: Mapping[str, ArrayT], shared: ArrayT
) -> tuple[dict[str, ArrayT], ArrayT, LevelBackpropT]:
    """Apply one level.

    own (Mapping[str, Floats2d]): The vectors of each head, (n_tokens, n_in).
    shared (Floats2d): The shared vectors, (n_tokens, n_in).
    RETURNS: Both for the next level, (n_tokens, width), and backprop. The last level gives the shared vectors back as
        they are.
    """
    join, n_own, is_last = model.ops.xp.concatenate, model.attrs["n_own"], level == model.attrs["n_levels"] - 1
    common, backprop_common = begin_experts(model, f"shared{level}", shared)
    experts = {head: begin_experts(model, f"{head}/own{level}", X) for head, X in own.items()}
    mixed = {
        head: begin_mix(model, [f"{head}/gate{level}"], X, join([experts[head][0], common])) for head, X in own.items()
    }
    if not is_last:
        gates = [*(f"{head}/shared_gate{level}" for head in own), f"shared_gate{level}"]
        following, backprop_following = begin_mix(
            model, gates, shared, join([*(experts[head][0] for head in own), common])
        )

    def backprop(d_own: dict[str, ArrayT], d_shared: ArrayT | None) -> tuple[dict[str, ArrayT], ArrayT]:
        d_common: ArrayT = common * 0
        d_shared_in: ArrayT = shared * 0
        d_own_in: dict[str, ArrayT] = {}
        d_experts: dict[str, ArrayT] = {}
        for head, d_mixed in d_own.items():
            d_own_in[head], d_found = mixed[head][1](d_mixed)
            d_experts[head] = d_found[:n_own]
            d_common += d_found[n_own:]
        if d_shared is not None:
            d_shared_in, d_found = backprop_following(d_shared)
            for place, head in enumerate(own):
                d_part = d_found[place * n_own : (place + 1) * n_own]
                d_experts[head] = d_experts[head] + d_part if head in d_experts else d_part
            d_common += d_found[len(own) * n_own :]
        for head, d_found in d_experts.items():
            dX = experts[head][1](d_found)
            d_own_in[head] = d_own_in[head] + dX if head in d_own_in else dX
        return d_own_in, d_shared_in + backprop_common(d_common)

    return {head: view for head, (view, _) in mixed.items()}, shared if is_last else following, backprop


def init(model: SharingT, X: SharingInput | None = None, Y: Any = None) -> None:
    """Draw the experts, and set all gates to zero."""
    assert X is not None
    n_in, width = X.tokvecs.dataXd.shape[-1], model.get_dim("nO")
    n_shared, n_own, n_levels = (model.attrs[name] for name in ("n_shared", "n_own", "n_levels"))
    model.set_dim("nI", n_in)
    for level in range(n_levels):
        n = n_in if level == 0 else width
        init_experts(model, f"shared{level}", n_experts=n_shared, n_in=n, width=width)
        for head in model.attrs["heads"]:
            init_experts(model, f"{head}/own{level}", n_experts=n_own, n_in=n, width=width)
            model.set_param(f"{head}/gate{level}", model.ops.alloc2f(n_own + n_shared, n))
        if level < n_levels - 1:
            model.set_param(f"shared_gate{level}", model.ops.alloc2f(n_shared, n))
            for head in model.attrs["heads"]:
                model.set_param(f"{head}/shared_gate{level}", model.ops.alloc2f(n_own, n))
