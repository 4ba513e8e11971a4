"""A linear layer that multiplies with numpy's or cupy's own BLAS, and can get more outputs. All heads use it."""

from collections.abc import Callable
from typing import Any

from thinc.api import Model, glorot_uniform_init
from thinc.types import Floats2d

from ..protocols.arrays import ArrayT

LinearT = Model[Floats2d, Floats2d]


def linear(n_out: int | None = None, n_in: int | None = None, *, bias: bool = True) -> LinearT:
    """Build the layer Y = X @ W.T + b, X (n, n_in) -> Y (n, n_out).

    The weights start at random (Glorot), so that the first step already sends a gradient to the encoder. thinc's own
    `Linear` multiplies with blis on the CPU, which is several times slower.

    n_out (int | None): Output width; None if it is set before initialisation.
    n_in (int | None): Input width; None to read it from the sample at initialisation.
    bias (bool): Whether to add the bias b.
    """
    params: dict[str, Any] = {"W": None, "b": None} if bias else {"W": None}
    return Model("linear", forward, init=init, dims={"nO": n_out, "nI": n_in}, params=params)


def forward(model: LinearT, X: Floats2d, is_train: bool) -> tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
    """RETURNS: Y (n, nO) and backprop: dY (n, nO) -> dX (n, nI)."""
    W: ArrayT = model.get_param("W")
    has_bias = "b" in model.param_names
    Y = X @ W.T
    if has_bias:
        Y += model.get_param("b")

    def backprop(dY: Floats2d) -> Floats2d:
        model.inc_grad("W", dY.T @ X)
        if has_bias:
            model.inc_grad("b", dY.sum(axis=0))
        return dY @ W

    return Y, backprop


def init(model: LinearT, X: Floats2d | None = None, Y: Floats2d | None = None) -> None:
    """Set the input width from X if it is not known yet, and draw the weights."""
    if X is not None and model.has_dim("nI") is None:
        model.set_dim("nI", X.shape[1])
    model.set_param("W", glorot_uniform_init(model.ops, (model.get_dim("nO"), model.get_dim("nI"))))
    if "b" in model.param_names:
        model.set_param("b", model.ops.alloc1f(model.get_dim("nO")))


def grown(model: LinearT, *, n_out: int | None = None, n_in: int | None = None) -> LinearT:
    """Return a larger layer that computes the same for the old outputs and inputs. The new weights are 0.

    It is a new node with an id of its own, so an optimizer does not apply its state for the old shape to it. Put it
    into the network with `Model.replace_node`.

    n_out (int | None): New output width; None to keep it.
    n_in (int | None): New input width; None to keep it.
    """
    W: ArrayT = model.get_param("W")
    larger = linear(n_out or W.shape[0], n_in or W.shape[1], bias="b" in model.param_names)
    larger.initialize()
    new_W = model.ops.alloc2f(larger.get_dim("nO"), larger.get_dim("nI"))
    new_W[: W.shape[0], : W.shape[1]] = W
    larger.set_param("W", new_W)
    if "b" in model.param_names:
        new_b: ArrayT = larger.get_param("b")
        new_b[: W.shape[0]] = model.get_param("b")
    return larger


def grow_output(model: Model[Any, Any], n_out: int) -> None:
    """Replace a network's reference "output" by a larger layer, if it has been initialised already."""
    grow(model, "output", n_out)


def grow(model: Model[Any, Any], name: str, n_out: int) -> None:
    """Replace one of a network's references by a larger layer, if it has that reference and is initialised already."""
    layer = model.maybe_get_ref(name)
    if layer is not None and layer.has_param("W"):
        model.replace_node(layer, grown(layer, n_out=n_out))
