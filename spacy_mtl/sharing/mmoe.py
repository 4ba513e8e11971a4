"""Experts that all heads share, mixed by a gate for each head."""

from collections.abc import Mapping
from typing import Any

from thinc.api import Model
from thinc.types import Ragged

from ..layers.gated_experts import begin_experts, begin_mix, init_experts
from ..protocols.arrays import ArrayT
from ..protocols.sharing import SharingInput, SharingT


def make_mmoe_v1(n_experts: int = 4, width: int = 96) -> SharingT:
    """Build a multi-gate mixture of experts (Ma et al. 2018, "Modeling Task Relationships in Multi-task Learning with
    Multi-gate Mixture-of-Experts", KDD).

    With `h` the shared vector of a token:

        expert[e] = relu(W[e] @ h + b[e])
        view[k]   = sum over experts of softmax(G[k] @ h)[e] * expert[e]

    Shared vectors `(n_tokens, n_in)` become a view `(n_tokens, width)` for each head k. The experts belong to all heads
    and learn from all losses; a gate `G[k]`, `(n_experts, n_in)`, belongs to one head. Gates start at zero: all experts
    count alike. With one expert it is a dense layer that all heads share. The layer adds
    `n_experts * (n_in + 1) * width + n_heads * n_experts * n_in` parameters.

    n_experts (int): Number of experts.
    width (int): Width of the experts' vectors, and so of each head's view.
    """
    for name, value in (("n_experts", n_experts), ("width", width)):
        if value < 1:
            raise ValueError(f"MMoE: {name} is {value}; it must be at least 1")
    attrs: dict[str, Any] = {"heads": [], "n_experts": n_experts, "mixes_heads": False}
    model: SharingT = Model("mmoe", forward, init=init, dims={"nI": None, "nO": width}, attrs=attrs)
    return model


def forward(model: SharingT, X: SharingInput, is_train: bool) -> tuple[dict[str, Ragged], Any]:
    """RETURNS: The view of each head, and backprop, which takes the gradients of the views of any heads."""
    lengths, tokvecs = X.tokvecs.lengths, X.tokvecs.dataXd
    Y, backprop_experts = begin_experts(model, "experts", tokvecs)
    mixed = {head: begin_mix(model, [f"{head}/gate"], tokvecs, Y) for head in model.attrs["heads"]}

    def backprop(d_views: Mapping[str, Ragged]) -> SharingInput:
        d_tokvecs: ArrayT = tokvecs * 0
        d_experts: ArrayT = Y * 0
        for head, d_view in d_views.items():
            d_gate, d_mixed = mixed[head][1](d_view.dataXd)
            d_tokvecs += d_gate
            d_experts += d_mixed
        d_tokvecs += backprop_experts(d_experts)
        return SharingInput([], Ragged(d_tokvecs, lengths))

    return {head: Ragged(view, lengths) for head, (view, _) in mixed.items()}, backprop


def init(model: SharingT, X: SharingInput | None = None, Y: Any = None) -> None:
    """Draw the experts, and set the gate of each head to zero."""
    assert X is not None
    n_in, n_experts = X.tokvecs.dataXd.shape[-1], model.attrs["n_experts"]
    model.set_dim("nI", n_in)
    init_experts(model, "experts", n_experts=n_experts, n_in=n_in, width=model.get_dim("nO"))
    for head in model.attrs["heads"]:
        model.set_param(f"{head}/gate", model.ops.alloc2f(n_experts, n_in))
