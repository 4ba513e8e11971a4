"""Maxout, layer norm and dropout of a layer, which follow its linear products, and the layer's weights."""

from typing import Any, NamedTuple, Protocol

from thinc.api import Model

from ...protocols.arrays import ArrayT
from .kernels import Kernels, ModelArrayT
from .tap_products import backprop_winograd_taps, winograd_taps

NodeT = Model[Any, Any]
# gradients, each with the node and the name of its parameter
GradsT = list[tuple[NodeT, str, ModelArrayT]]


class Block(NamedTuple):
    """The nodes of thinc's `Maxout(normalize=True, dropout=…)`.

    maxout (Model): The linear functions and the maximum over them.
    norm (Model): The layer norm.
    dropout (Model): The dropout.
    """

    maxout: NodeT
    norm: NodeT
    dropout: NodeT

    @property
    def dropout_rate(self) -> float:
        """The probability with which training sets an output to 0."""
        return float(self.dropout.attrs["dropout_rate"]) if self.dropout.attrs["is_enabled"] else 0.0


class NormBackpropT(Protocol):
    """The backprop of `begin_maxout_norm`."""

    def __call__(self, dH: ArrayT, out: ArrayT | None = None) -> tuple[ArrayT, ArrayT, ArrayT]:
        """Return the gradients of the products (n, pieces * n_out), the gain and the shift."""


class BlockWeights(NamedTuple):
    """The weights of a block in the order that the products use. A tap is the weight matrix of one window position.

    taps (Floats3d): One matrix for each tap, piece after piece, (n_taps, width, pieces * n_out).
    bias (Floats1d): Bias, piece after piece, (pieces * n_out,).
    gain (Floats1d): Gain of the layer norm, (n_out,).
    shift (Floats1d): Shift of the layer norm, (n_out,).
    """

    taps: ArrayT
    bias: ArrayT
    gain: ArrayT
    shift: ArrayT

    def winograd(self) -> "BlockWeights":
        """Convert the taps for `winograd_products`."""
        return self._replace(taps=winograd_taps(self.taps))

    def share(self, kernels: Kernels) -> "BlockWeights":
        """View all arrays as those of the kernels."""
        return BlockWeights(*map(kernels.share, self))


def read_weights(block: Block, n_taps: int) -> BlockWeights:
    """Copy the parameters of the nodes to the order that the products use."""
    as_contig = block.maxout.ops.as_contig
    W: Any = block.maxout.get_param("W")
    b: Any = block.maxout.get_param("b")
    n_out, pieces, n_in = W.shape
    by_tap = W.reshape(n_out, pieces, n_taps, n_in // n_taps).transpose(2, 3, 1, 0)
    taps = as_contig(by_tap).reshape(n_taps, -1, pieces * n_out)
    return BlockWeights(taps, as_contig(b.T).reshape(-1), block.norm.get_param("G"), block.norm.get_param("b"))


def weight_grads(block: Block, d_weights: BlockWeights, *, winograd: bool, kernels: Kernels) -> GradsT:
    """Convert gradients to the shapes of the nodes' parameters.

    block (Block): The nodes.
    d_weights (BlockWeights): Gradients in the order of the products.
    winograd (bool): Whether `d_weights` come from `winograd_products`.
    """
    d_taps, d_bias, d_gain, d_shift = map(kernels.unshare, d_weights)
    if winograd:
        d_taps = backprop_winograd_taps(d_taps)
    n_out, pieces = block.maxout.get_dim("nO"), block.maxout.get_dim("nP")
    n_taps, width = d_taps.shape[:2]
    dW = d_taps.reshape(n_taps, width, pieces, n_out).transpose(3, 2, 0, 1).reshape(n_out, pieces, n_taps * width)
    db = block.maxout.ops.as_contig(d_bias.reshape(pieces, n_out).T)
    return [(block.maxout, "W", dW), (block.maxout, "b", db), (block.norm, "G", d_gain), (block.norm, "b", d_shift)]


class FlatGrads(NamedTuple):
    """Places for m gradients of all parameters, as rows of one array in the order and the shapes of `weight_grads`.

    rows (Floats2d): The array, (m, n_params). All others are views of it.
    taps (Floats5d): The gradients of each tap, (m, n_taps, pieces, n_out, width).
    bias (Floats3d): Those of the bias, (m, pieces, n_out).
    gain (Floats2d): Those of the gain, (m, n_out).
    shift (Floats2d): Those of the shift, (m, n_out).
    """

    rows: ArrayT
    taps: ArrayT
    bias: ArrayT
    gain: ArrayT
    shift: ArrayT


def empty_flat_grads(block: Block, m: int, n_taps: int, kernels: Kernels) -> FlatGrads:
    """Allocate places for m gradients of the block's parameters."""
    W: Any = block.maxout.get_param("W")
    n_out, pieces, n_in = W.shape
    n_bias = W.size + n_out * pieces
    rows = kernels.empty(m, n_bias + 2 * n_out)
    taps = rows[:, : W.size].reshape(m, n_out, pieces, n_taps, n_in // n_taps)
    bias = rows[:, W.size : n_bias].reshape(m, n_out, pieces)
    # from the order of W and b to that of the products
    taps, bias = taps.swapaxes(1, 3), bias.swapaxes(1, 2)
    return FlatGrads(rows, taps, bias, rows[:, n_bias : n_bias + n_out], rows[:, n_bias + n_out :])


def split_weight_grads(block: Block, flat: ModelArrayT) -> GradsT:
    """View a row of `FlatGrads` as the gradients of the nodes' parameters."""
    grads: GradsT = []
    start = 0
    for node, name in ((block.maxout, "W"), (block.maxout, "b"), (block.norm, "G"), (block.norm, "b")):
        param: Any = node.get_param(name)
        grads.append((node, name, flat[start : start + param.size].reshape(param.shape)))
        start += param.size
    return grads


def maxout_norm(Y: ArrayT, weights: BlockWeights, *, kernels: Kernels) -> ArrayT:
    """Apply maxout and layer norm in prediction, (n, pieces * n_out) -> (n, n_out)."""
    best = kernels.maxout(Y.reshape(len(Y), -1, len(weights.gain)))
    return kernels.layer_norm(best, weights.gain, weights.shift)[0]


def begin_maxout_norm(Y: ArrayT, weights: BlockWeights, *, kernels: Kernels) -> tuple[ArrayT, NormBackpropT]:
    """Apply maxout and layer norm in training.

    Y (Floats2d): The products, which are overwritten, (n, pieces * n_out).
    RETURNS: The result (n, n_out), and backprop to the gradients of the products, the gain and the shift. The first is
        written to `out` (n, pieces, n_out), if given.
    """
    pieces = Y.reshape(len(Y), -1, len(weights.gain))
    best = kernels.maxout(pieces)
    won = kernels.winners(pieces, best)
    H, saved = kernels.layer_norm(best, weights.gain, weights.shift)

    def backprop(dH: ArrayT, out: ArrayT | None = None) -> tuple[ArrayT, ArrayT, ArrayT]:
        d_best, d_gain, d_shift = kernels.backprop_layer_norm(dH, saved, weights.gain)
        d_pieces = kernels.xp.multiply(won, d_best[:, None], out=out)
        return d_pieces.reshape(len(dH), -1), d_gain, d_shift

    return H, backprop
