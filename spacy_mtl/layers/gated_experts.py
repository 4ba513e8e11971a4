"""Experts, small dense layers that work on the same vectors, and gates that mix them, for layers in `sharing/`."""

from collections.abc import Callable, Sequence
from typing import Any

from thinc.api import Model, Ops, glorot_uniform_init
from thinc.types import Floats2d, Floats3d

from ..protocols.arrays import ArrayT
from .softmax import backprop_softmax, softmax

ModelT = Model[Any, Any]


def init_experts(model: ModelT, name: str, *, n_experts: int, n_in: int, width: int) -> None:
    """Set the parameters of some experts: `name/W` (n_experts, n_in, width), at random, and `name/b`, zeros."""
    model.set_param(f"{name}/W", glorot_stack(model.ops, n_experts, n_in, width))
    model.set_param(f"{name}/b", model.ops.alloc2f(n_experts, width))


def glorot_stack(ops: Ops, n: int, n_in: int, n_out: int) -> Floats3d:
    """Draw the weights of several dense layers, (n, n_in, n_out)."""
    stack: Floats3d = ops.xp.stack([glorot_uniform_init(ops, (n_in, n_out)) for _ in range(n)])
    return stack


def begin_experts(model: ModelT, name: str, X: ArrayT) -> tuple[Floats3d, Callable[[ArrayT], Floats2d]]:
    """Compute `relu(X @ W[e] + b[e])` for each expert e.

    X (Floats2d): (n_tokens, n_in).
    RETURNS: The vectors (n_experts, n_tokens, width), and backprop: dY -> dX.
    """
    W, b = _get(model, f"{name}/W"), _get(model, f"{name}/b")
    Y = X @ W
    Y += b[:, None]
    Y = Y.clip(min=0)

    def backprop(dY: ArrayT) -> Floats2d:
        d_pre = dY * (Y > 0)
        model.inc_grad(f"{name}/W", X.T @ d_pre)
        model.inc_grad(f"{name}/b", d_pre.sum(axis=1))
        dX: Floats2d = (d_pre @ W.transpose(0, 2, 1)).sum(axis=0)
        return dX

    return Y, backprop


def begin_mix(
    model: ModelT, gates: Sequence[str], X: ArrayT, Y: ArrayT
) -> tuple[Floats2d, Callable[[ArrayT], tuple[Floats2d, Floats3d]]]:
    """Mix the experts' vectors of each token: `sum over e of softmax(X @ G.T)[:, e] * Y[e]`.

    gates (Sequence[str]): Names of the parameters that make up G (n_experts, n_in): some rows each.
    X (Floats2d): What the gate sees, (n_tokens, n_in).
    Y (Floats3d): The experts' vectors, (n_experts, n_tokens, width).
    RETURNS: The mix (n_tokens, width), and backprop: d_mix -> dX, dY.
    """
    xp = model.ops.xp
    parts = [_get(model, name) for name in gates]
    G = xp.concatenate(parts)
    shares = softmax(X @ G.T)

    def backprop(d_mix: ArrayT) -> tuple[Floats2d, Floats3d]:
        d_logits = backprop_softmax(shares, xp.einsum("enw,nw->ne", Y, d_mix))
        dG = d_logits.T @ X
        start = 0
        for name, part in zip(gates, parts, strict=True):
            model.inc_grad(name, dG[start : start + len(part)])
            start += len(part)
        return d_logits @ G, shares.T[:, :, None] * d_mix

    return xp.einsum("ne,enw->nw", shares, Y), backprop


def _get(model: ModelT, param: str) -> ArrayT:
    return model.get_param(param)
