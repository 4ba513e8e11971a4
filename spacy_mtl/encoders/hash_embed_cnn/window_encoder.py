"""A stack of residual convolutions over the tokens of each doc: the function of spaCy's `MaxoutWindowEncoder`."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...protocols.arrays import ArrayT
from .kernels import Kernels
from .maxout_block import Block, BlockWeights, GradsT, NodeT, begin_maxout_norm, maxout_norm, weight_grads
from .tap_products import direct_products, looked_up_products, winograd_products
from .window_rows import WindowPlan, plan_windows


class WindowEncoder(NamedTuple):
    """The nodes of the convolutions.

    root (Model): The node whose attribute "boundary" says what a layer sees outside a doc: "padded", which is what the
        layer before it computed there, or "zero". spaCy's own nodes lack the attribute and are "padded".
    expand (list[Model]): The `expand_window` of each layer.
    blocks (list[Block]): The block of each layer.
    """

    root: NodeT
    expand: list[NodeT]
    blocks: list[Block]

    @property
    def padded(self) -> bool:
        """Whether layers compute positions outside a doc like those inside."""
        return bool(self.root.attrs.get("boundary", "padded") == "padded")

    @property
    def window(self) -> int:
        """Number of neighbours that a layer sees on either side."""
        return int(self.expand[0].attrs["window_size"])

    @property
    def n_taps(self) -> int:
        """Number of vectors in a window."""
        return 2 * self.window + 1

    @property
    def winograd(self) -> bool:
        """Whether windows have three vectors, as `winograd_products` needs."""
        return self.window == 1

    def plan(self, lengths: Sequence[int], *, look_up: bool) -> WindowPlan:
        """Plan the windows of docs of these lengths.

        lengths (Sequence[int]): Number of tokens of each doc.
        look_up (bool): Whether the products of the first layer are looked up.
        """
        return plan_windows(lengths, window=self.window, tiles=self.tiles(look_up=look_up), padded=self.padded)

    def tiles(self, *, look_up: bool) -> list[int]:
        """Return the number of neighbouring positions that each layer computes at a time."""
        tiles = [2 if self.winograd else 1] * len(self.blocks)
        return [1, *tiles[1:]] if look_up else tiles


def encode(
    vectors: ArrayT,
    products: ArrayT,
    plan: WindowPlan,
    encoder: WindowEncoder,
    weights: Sequence[BlockWeights],
    *,
    kernels: Kernels,
) -> ArrayT:
    """Apply all layers in prediction.

    vectors (Floats2d): The vectors of words, (n_words, width).
    products (Floats2d): Their products with the taps of the first layer, (n_words, n_taps * n_out).
    plan (WindowPlan): The windows; those of the first layer are of words.
    RETURNS (Floats2d): The vectors of tokens, (n_tokens, width).
    """
    windows = [kernels.index(index) for index in plan.windows]
    Y = looked_up_products(products, windows[0].T, weights[0].bias, kernels=kernels)
    X = maxout_norm(Y, weights[0], kernels=kernels)
    X += kernels.take(vectors, windows[0][encoder.window])
    multiply = winograd_products if encoder.winograd else direct_products
    for index, layer in zip(windows[1:], weights[1:], strict=True):
        if not encoder.padded:
            # The last row stands for all positions outside of docs, which the next layer must see as zeros.
            X[-1] = 0.0
        D = kernels.take(X, index if encoder.winograd else index.T)
        Y, _ = multiply(D, layer.taps, layer.bias, kernels=kernels)
        X = maxout_norm(Y, layer, kernels=kernels)
        X += _centers(D, encoder)
    return kernels.take(X, kernels.index(plan.tokens))


def begin_encode(
    X: ArrayT,
    plan: WindowPlan,
    encoder: WindowEncoder,
    weights: Sequence[BlockWeights],
    *,
    kernels: Kernels,
) -> tuple[ArrayT, Callable[[ArrayT], tuple[ArrayT, GradsT]], Callable[[ArrayT], GradsT]]:
    """Apply all layers in training.

    X (Floats2d): A row of zeros, then the vectors of tokens, (1 + n_tokens, width).
    plan (WindowPlan): The windows.
    RETURNS: The new vectors (n_tokens, width); their backprop to the gradients of the input and of the parameters; and
        the backprop of the last layer alone, to the gradients of its parameters.
    """
    backprops = []
    for block, index, layer in zip(encoder.blocks, plan.windows, weights, strict=True):
        X, backprop_layer, backprop_weights = _begin_layer(X, kernels.index(index), encoder, block, layer, kernels)
        backprops.append(backprop_layer)
    tokens = kernels.index(plan.tokens)
    shape = X.shape

    def spread(d_tokens: ArrayT) -> ArrayT:
        return kernels.scatter_add(kernels.zeros(*shape), d_tokens, tokens[:, None])

    def backprop_last(d_tokens: ArrayT) -> GradsT:
        return backprop_weights(spread(d_tokens))

    def backprop(d_tokens: ArrayT) -> tuple[ArrayT, GradsT]:
        grads: GradsT = []
        dX = spread(d_tokens)
        for backprop_layer in reversed(backprops):
            dX, layer_grads = backprop_layer(dX)
            grads += layer_grads
        return dX, grads

    return kernels.take(X, tokens), backprop, backprop_last


def _begin_layer(
    X: ArrayT,
    index: ArrayT,
    encoder: WindowEncoder,
    block: Block,
    weights: BlockWeights,
    kernels: Kernels,
) -> tuple[ArrayT, Callable[[ArrayT], tuple[ArrayT, GradsT]], Callable[[ArrayT], GradsT]]:
    """RETURNS: The output; backprop to the input and the parameters; and backprop to the parameters alone."""
    rows = index if encoder.winograd else index.T
    D = kernels.take(X, rows)
    multiply = winograd_products if encoder.winograd else direct_products
    Y, backprop_products = multiply(D, weights.taps, weights.bias, kernels=kernels)
    H, backprop_norm = begin_maxout_norm(Y, weights, kernels=kernels)
    mask = kernels.dropout_mask(H.shape, block.dropout_rate) if block.dropout_rate else None
    if mask is not None:
        H *= mask
    H += _centers(D, encoder)
    if not encoder.padded:
        H[-1] = 0.0
    shape = X.shape

    def backprop_block(dH: ArrayT) -> tuple[ArrayT, GradsT]:
        if not encoder.padded:
            # The forward pass overwrote this row, so no gradient flows back through it.
            dH[-1] = 0.0
        dY, d_gain, d_shift = backprop_norm(dH if mask is None else dH * mask)
        d_weights = BlockWeights(*backprop_products.to_weights(dY), d_gain, d_shift)
        return dY, weight_grads(block, d_weights, winograd=encoder.winograd, kernels=kernels)

    def backprop(dH: ArrayT) -> tuple[ArrayT, GradsT]:
        dY, grads = backprop_block(dH)
        dD = backprop_products.to_input(dY)
        d_centers = _centers(dD, encoder)
        d_centers += dH
        return kernels.scatter_add(kernels.zeros(*shape), dD.reshape(-1, shape[1]), rows.reshape(-1, 1)), grads

    return H, backprop, lambda dH: backprop_block(dH)[1]


def _centers(windows: ArrayT, encoder: WindowEncoder) -> ArrayT:
    """Return a view of the vector in the middle of each window, (n, width)."""
    return windows[1:3].reshape(-1, windows.shape[2]) if encoder.winograd else windows[:, encoder.window]
