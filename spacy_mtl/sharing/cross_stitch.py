"""A column of dense layers for each head, stitched together after each layer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thinc.api import Model
from thinc.types import Ragged

from ..layers.gated_experts import glorot_stack
from ..protocols.arrays import ArrayT
from ..protocols.sharing import SharingInput, SharingT


def make_cross_stitch_v1(depth: int = 1, own: float = 0.9) -> SharingT:
    """Build cross-stitch units between columns of layers, one column for each head (Misra et al. 2016, "Cross-Stitch
    Networks for Multi-Task Learning", CVPR).

    With `h[k]` what head k has of a token, which is the shared vector before the first layer:

        z[k]      = relu(W[k] @ h[k] + b[k])
        next h[k] = sum over heads of a[k, j] * z[j]

    Shared vectors `(n_tokens, width)` become a view of the same shape for each head. Each factor `a[k, j]` is a vector,
    `(width,)`: as in the paper, each channel is stitched on its own. The factors are learned with the rest. Where
    `a[k, j]` is 1 for j = k and else 0, the columns are separate. The layer adds
    `depth * (m * (width + 1) * width + m * m * width)` parameters for m heads.

    A head that is left out of a saved pipeline keeps its column, so the others see what they saw. A head that is added
    changes what the others see, unless `own` is 1.

    depth (int): Number of layers in each column.
    own (float): Factor that a head's own column starts with; the rest up to 1 is divided among the others.
    """
    if depth < 1:
        raise ValueError(f"CrossStitch: depth is {depth}; it must be at least 1")
    if not 0.0 <= own <= 1.0:
        raise ValueError(f"CrossStitch: own is {own}; it must be at least 0 and at most 1")
    attrs: dict[str, Any] = {"heads": [], "depth": depth, "own": own, "mixes_heads": True}
    model: SharingT = Model("cross_stitch", forward, init=init, dims={"nI": None}, attrs=attrs)
    return model


def forward(model: SharingT, X: SharingInput, is_train: bool) -> tuple[dict[str, Ragged], Any]:
    """RETURNS: The view of each head, and backprop, which takes the gradients of the views of any heads."""
    xp, heads, lengths = model.ops.xp, model.attrs["heads"], X.tokvecs.lengths
    tokvecs: ArrayT = X.tokvecs.dataXd
    W = xp.stack([_get(model, f"{head}/W") for head in heads])
    b = xp.stack([_get(model, f"{head}/b") for head in heads])
    stitches = xp.stack([xp.stack([_get(model, pair(head, other)) for other in heads]) for head in heads])
    H = xp.broadcast_to(tokvecs, (len(heads), *tokvecs.shape))
    backprops = []
    for layer in range(model.attrs["depth"]):
        H, backprop_layer = begin_layer(model, H, W[:, layer], b[:, layer], stitches[:, :, layer])
        backprops.append(backprop_layer)

    def backprop(d_views: Mapping[str, Ragged]) -> SharingInput:
        dH = xp.zeros((len(heads), *tokvecs.shape), dtype=tokvecs.dtype)
        for head, d_view in d_views.items():
            dH[heads.index(head)] = d_view.dataXd
        grads = []
        for backprop_layer in reversed(backprops):
            dH, *layer_grads = backprop_layer(dH)
            grads.append(layer_grads)
        add_grads(model, heads, *(xp.stack(parts) for parts in zip(*reversed(grads), strict=True)))
        return SharingInput([], Ragged(dH.sum(axis=0), lengths))

    return {head: Ragged(view, lengths) for head, view in zip(heads, H, strict=True)}, backprop


def begin_layer(
    model: SharingT, H: ArrayT, W: ArrayT, b: ArrayT, stitch: ArrayT
) -> tuple[ArrayT, Callable[[ArrayT], tuple[ArrayT, ArrayT, ArrayT, ArrayT]]]:
    """Apply one layer of all columns, and the stitches after it.

    H (Floats3d): (n_heads, n_tokens, width).
    W (Floats3d): (n_heads, width, width). b (Floats2d): (n_heads, width).
    stitch (Floats3d): Factor of each column (second axis) for each head (first axis), (n_heads, n_heads, width).
    RETURNS: The next H, and backprop: dH -> the gradients of H, W, b and stitch.
    """
    einsum = model.ops.xp.einsum
    Z = (H @ W + b[:, None]).clip(min=0)

    def backprop(d_next: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT, ArrayT]:
        dZ = einsum("kjw,knw->jnw", stitch, d_next)
        d_pre = dZ * (Z > 0)
        dH = d_pre @ W.transpose(0, 2, 1)
        return dH, H.transpose(0, 2, 1) @ d_pre, d_pre.sum(axis=1), einsum("knw,jnw->kjw", d_next, Z)

    return einsum("kjw,jnw->knw", stitch, Z), backprop


def add_grads(model: SharingT, heads: Sequence[str], dW: ArrayT, db: ArrayT, d_stitches: ArrayT) -> None:
    """Add the gradients of all layers, which are the first axis, to the parameters of each head."""
    for k, head in enumerate(heads):
        model.inc_grad(f"{head}/W", dW[:, k])
        model.inc_grad(f"{head}/b", db[:, k])
        for j, other in enumerate(heads):
            model.inc_grad(pair(head, other), d_stitches[:, k, j])


def init(model: SharingT, X: SharingInput | None = None, Y: Any = None) -> None:
    """Draw the columns, and set the stitches to their first factors."""
    assert X is not None
    heads, depth, width = model.attrs["heads"], model.attrs["depth"], X.tokvecs.dataXd.shape[-1]
    own = model.attrs["own"] if len(heads) > 1 else 1.0
    model.set_dim("nI", width)
    for head in heads:
        model.set_param(f"{head}/W", glorot_stack(model.ops, depth, width, width))
        model.set_param(f"{head}/b", model.ops.alloc2f(depth, width))
        for other in heads:
            factor = own if other == head else (1.0 - own) / (len(heads) - 1)
            model.set_param(pair(head, other), model.ops.alloc2f(depth, width) + model.ops.asarray1f([factor]))


def stitch_factors(model: SharingT) -> dict[str, dict[str, float]]:
    """Return how much of each column each head sees after the last layer, as a mean over channels: head -> column.

    For a pipeline: `stitch_factors(nlp.get_pipe("multitask").encoder.get_ref("sharing"))`.
    """
    heads = model.attrs["heads"]
    return {head: {other: float(_get(model, pair(head, other))[-1].mean()) for other in heads} for head in heads}


def pair(head: str, other: str) -> str:
    """Return the name of the factors with which a head sees another's column, (depth, width)."""
    return f"{head}/from/{other}"


def _get(model: SharingT, param: str) -> ArrayT:
    return model.get_param(param)
