"""A stack of residual convolutions over the tokens of each doc: the function of spaCy's `MaxoutWindowEncoder`."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ...protocols.arrays import ArrayT
from .kernels import Kernels
from .maxout_block import (
    Block,
    BlockWeights,
    GradsT,
    NodeT,
    begin_maxout_norm,
    empty_flat_grads,
    maxout_norm,
    weight_grads,
)
from .tap_products import direct_products, looked_up_products, winograd_products
from .window_rows import WindowPlan, plan_windows

# gradients of a layer's products (n, pieces * n_out), and of the gain and the shift of its layer norm
DProductsT = tuple[ArrayT, ArrayT, ArrayT]


class LayerBackprop(NamedTuple):
    """The backprop of a layer, in parts that can be had alone.

    to_products (Callable): Gradient of the output, in which the row of what is outside of docs is overwritten ->
        gradients of the products, the gain and the shift.
    to_weights (Callable): These gradients -> those of all parameters.
    to_each (Callable): m gradients of the output, as for `to_products` -> for each of them those of all parameters,
        (m, n_params).
    to_input (Callable): The gradient of the output, and what `to_products` made of it -> gradient of the input.
    """

    to_products: Callable[[ArrayT], DProductsT]
    to_weights: Callable[[DProductsT], GradsT]
    to_each: Callable[[Sequence[ArrayT]], ArrayT]
    to_input: Callable[[ArrayT, DProductsT], ArrayT]


class EncoderBackprop(NamedTuple):
    """The backprop of all layers.

    to_all (Callable): Gradient of the vectors (n_tokens, width), and whether the last layer's parameters need theirs ->
        gradients of the input and of the parameters.
    to_last (Callable): m gradients of the vectors -> for each of them those of the last layer's parameters,
        (m, n_params), in the order of `FlatGrads`.
    """

    to_all: Callable[[ArrayT, bool], tuple[ArrayT, GradsT]]
    to_last: Callable[[Sequence[ArrayT]], ArrayT]


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
) -> tuple[ArrayT, EncoderBackprop]:
    """Apply all layers in training.

    X (Floats2d): A row of zeros, then the vectors of tokens, (1 + n_tokens, width).
    plan (WindowPlan): The windows.
    RETURNS: The new vectors (n_tokens, width), and their backprop.
    """
    layers: list[LayerBackprop] = []
    for block, index, layer in zip(encoder.blocks, plan.windows, weights, strict=True):
        X, backprop_layer = _begin_layer(X, kernels.index(index), encoder, block, layer, kernels)
        layers.append(backprop_layer)
    tokens = kernels.index(plan.tokens)
    shape = X.shape

    def spread(d_tokens: ArrayT) -> ArrayT:
        return kernels.scatter_add(kernels.zeros(*shape), d_tokens, tokens[:, None])

    def to_last(d_tokens: Sequence[ArrayT]) -> ArrayT:
        return layers[-1].to_each([spread(one) for one in d_tokens])

    def to_all(d_tokens: ArrayT, with_last: bool) -> tuple[ArrayT, GradsT]:
        grads: GradsT = []
        dX = spread(d_tokens)
        for layer in reversed(layers):
            d_products = layer.to_products(dX)
            if with_last or layer is not layers[-1]:
                grads += layer.to_weights(d_products)
            dX = layer.to_input(dX, d_products)
        return dX, grads

    return kernels.take(X, tokens), EncoderBackprop(to_all, to_last)


def _begin_layer(
    X: ArrayT,
    index: ArrayT,
    encoder: WindowEncoder,
    block: Block,
    weights: BlockWeights,
    kernels: Kernels,
) -> tuple[ArrayT, LayerBackprop]:
    """RETURNS: The output, and its backprop."""
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

    def to_products(dH: ArrayT, out: ArrayT | None = None) -> DProductsT:
        if not encoder.padded:
            # The forward pass overwrote this row, so no gradient flows back through it.
            dH[-1] = 0.0
        return backprop_norm(dH if mask is None else dH * mask, out)

    def to_weights(d_products: DProductsT) -> GradsT:
        dY, d_gain, d_shift = d_products
        d_weights = BlockWeights(*backprop_products.to_weights(dY), d_gain, d_shift)
        return weight_grads(block, d_weights, winograd=encoder.winograd, kernels=kernels)

    def to_each(dH: Sequence[ArrayT]) -> ArrayT:
        grads = empty_flat_grads(block, len(dH), encoder.n_taps, kernels)
        out = kernels.empty(len(H), *grads.bias.shape[1:])

        def d_products() -> Iterator[ArrayT]:
            for one, d_gain, d_shift in zip(dH, grads.gain, grads.shift, strict=True):
                dY, d_gain[:], d_shift[:] = to_products(one, out)
                yield dY

        backprop_products.to_each(d_products(), grads.taps, grads.bias)
        return grads.rows

    def to_input(dH: ArrayT, d_products: DProductsT) -> ArrayT:
        dD = backprop_products.to_input(d_products[0])
        d_centers = _centers(dD, encoder)
        d_centers += dH
        return kernels.scatter_add(kernels.zeros(*shape), dD.reshape(-1, shape[1]), rows.reshape(-1, 1))

    return H, LayerBackprop(to_products, to_weights, to_each, to_input)


def _centers(windows: ArrayT, encoder: WindowEncoder) -> ArrayT:
    """Return a view of the vector in the middle of each window, (n, width)."""
    return windows[1:3].reshape(-1, windows.shape[2]) if encoder.winograd else windows[:, encoder.window]
