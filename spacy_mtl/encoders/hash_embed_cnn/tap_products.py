"""Products of windows of vectors with the taps: the linear part of a convolution over a sequence.

A tap is the weight matrix of one position of the window. There are three ways to the same sums: one product of whole
windows; Winograd's algorithm, with fewer products, for windows of three; and looking up products that were computed
once for each word.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from thinc.types import Floats3d
from thinc.util import get_array_module

from ...protocols.arrays import ArrayT
from .kernels import Kernels


class ProductsBackprop(NamedTuple):
    """The backprop of products, in parts that can be had alone.

    to_input (Callable): Gradient of the products -> gradient of the input.
    to_weights (Callable): Gradient of the products -> gradients of the taps and the bias.
    to_each (Callable): Like `to_weights` for m gradients of the products, which may all be views of one array that is
        filled again for each of them. The gradients of the taps, as they are before `winograd_taps`, are written to
        the second argument, (m, n_taps, ..., width), those of the bias to the third one, (m, ...). "..." are one or
        more axes for n_out.
    """

    to_input: Callable[[ArrayT], ArrayT]
    to_weights: Callable[[ArrayT], tuple[ArrayT, ArrayT]]
    to_each: Callable[[Iterable[ArrayT], ArrayT, ArrayT], None]


def direct_products(X: ArrayT, taps: ArrayT, bias: ArrayT, *, kernels: Kernels) -> tuple[ArrayT, ProductsBackprop]:
    """Multiply whole windows at once.

    X (Floats3d): Windows, (n, n_taps, width).
    taps (Floats3d): Taps, (n_taps, width, n_out).
    bias (Floats1d): Bias, (n_out,).
    RETURNS: The products (n, n_out), and backprop.
    """
    n_out = taps.shape[2]
    windows, W = X.reshape(len(X), -1), taps.reshape(-1, n_out)

    def to_input(dY: ArrayT) -> ArrayT:
        return (dY @ W.T).reshape(X.shape)

    def to_weights(dY: ArrayT) -> tuple[ArrayT, ArrayT]:
        return (windows.T @ dY).reshape(taps.shape), dY.sum(0)

    def to_each(d_products: Iterable[ArrayT], d_taps: ArrayT, d_bias: ArrayT) -> None:
        for dY, own_taps, own_bias in zip(d_products, d_taps, d_bias, strict=True):
            tap_last = (*own_bias.shape, len(taps), taps.shape[1])
            own_taps[:] = kernels.xp.moveaxis((dY.T @ windows).reshape(tap_last), -2, 0)
            own_bias[:] = dY.sum(0).reshape(own_bias.shape)

    Y = kernels.affine(windows, W, bias, out=kernels.empty(len(X), n_out))
    return Y, ProductsBackprop(to_input, to_weights, to_each)


def winograd_products(X: ArrayT, taps: ArrayT, bias: ArrayT, *, kernels: Kernels) -> tuple[ArrayT, ProductsBackprop]:
    """Multiply the windows of two neighbouring positions at a time, with four products instead of six, for windows of
    three: F(2, 3) of Winograd 1980 (https://doi.org/10.1137/1.9781611970364), as in Lavin and Gray 2016
    (https://arxiv.org/abs/1509.09308).

    X (Floats3d): The vectors before, at the two positions, and after, (4, n, width). The outer two are overwritten.
    taps (Floats3d): Taps from `winograd_taps`, (4, width, n_out).
    bias (Floats1d): Bias, (n_out,).
    RETURNS: The products of all first positions, then of all second ones, (2 * n, n_out), and backprop.
    """
    xp = kernels.xp
    n, width = X.shape[1:]
    n_out = taps.shape[2]
    before, first, second, after = X
    # The sums of both positions need only four different products, of these differences and sums of vectors.
    before -= second
    after -= first
    V = (before, first + second, second - first, after)
    Y = kernels.empty(2, n, n_out)
    kernels.affine(V[1], taps[1], bias, out=Y[0])
    odd = V[2] @ taps[2]
    xp.subtract(Y[0], odd, out=Y[1])
    xp.add(Y[0], odd, out=Y[0])
    kernels.add_product(Y[0], V[0], taps[0])
    kernels.add_product(Y[1], V[3], taps[3])

    def of_products(dY: ArrayT) -> tuple[ArrayT, ...]:
        d0, d3 = dY.reshape(2, n, n_out)
        return d0, d0 + d3, d0 - d3, d3

    def to_weights(dY: ArrayT) -> tuple[ArrayT, ArrayT]:
        D, d_taps = of_products(dY), kernels.empty(*taps.shape)
        for v, d, du in zip(V, D, d_taps, strict=True):
            xp.matmul(v.T, d, out=du)
        return d_taps, D[1].sum(0)

    def to_each(d_products: Iterable[ArrayT], d_taps: ArrayT, d_bias: ArrayT) -> None:
        # Arrays that are used again for each gradient stay in the processor's cache.
        both, dU = kernels.empty(2, n, n_out), kernels.empty(4, *d_bias.shape[1:], width)
        # with the factor that `backprop_winograd_taps` has
        halved = (V[0], V[1] * 0.5, V[2] * 0.5, V[3])
        for dY, own_taps, own_bias in zip(d_products, d_taps, d_bias, strict=True):
            d0, d3 = dY.reshape(2, n, n_out)
            xp.add(d0, d3, out=both[0])
            xp.subtract(d0, d3, out=both[1])
            for v, d, du in zip(halved, (d0, *both, d3), dU, strict=True):
                xp.matmul(d.T, v, out=du.reshape(n_out, width))
            outer = dU[1] + dU[2]
            xp.add(dU[0], outer, out=own_taps[0])
            xp.subtract(dU[1], dU[2], out=own_taps[1])
            xp.add(dU[3], outer, out=own_taps[2])
            own_bias[:] = both[0].sum(0).reshape(own_bias.shape)

    def to_input(dY: ArrayT) -> ArrayT:
        dX = kernels.empty(4, n, width)
        for u, d, dx in zip(taps, of_products(dY), dX, strict=True):
            xp.matmul(d, u.T, out=dx)
        first = dX[1] - dX[2]
        first -= dX[3]
        dX[2] += dX[1]
        dX[2] -= dX[0]
        dX[1] = first
        return dX

    return Y.reshape(2 * n, n_out), ProductsBackprop(to_input, to_weights, to_each)


def word_products(X: ArrayT, taps: ArrayT) -> ArrayT:
    """Multiply each word with every tap, for `looked_up_products`, (n_words, width) -> (n_words, n_taps * n_out)."""
    return X @ taps.swapaxes(0, 1).reshape(taps.shape[1], -1)


def looked_up_products(products: ArrayT, index: ArrayT, bias: ArrayT, *, kernels: Kernels) -> ArrayT:
    """Sum the products of the words in each window.

    products (Floats2d): Products from `word_products`, (n_words, n_taps * n_out).
    index (Ints2d): The word at each tap of each window, (n, n_taps).
    bias (Floats1d): Bias, (n_out,).
    RETURNS (Floats2d): The sums, (n, n_out).
    """
    n_taps = index.shape[1]
    rows = index * n_taps + kernels.index(np.arange(n_taps))
    Y = kernels.take_sum(products.reshape(-1, len(bias)), rows)
    Y += bias
    return Y


def winograd_taps(taps: Floats3d) -> Floats3d:
    """Convert three taps to the four matrices of `winograd_products`, (3, width, n_out) -> (4, width, n_out)."""
    outer, middle = (taps[0] + taps[2]) * 0.5, taps[1] * 0.5
    return get_array_module(taps).stack([taps[0], outer + middle, outer - middle, taps[2]])


def backprop_winograd_taps(dU: Floats3d) -> Floats3d:
    """Convert the gradient of the four matrices to that of the three taps, (4, width, n_out) -> (3, width, n_out)."""
    outer, middle = (dU[1] + dU[2]) * 0.5, (dU[1] - dU[2]) * 0.5
    return get_array_module(dU).stack([dU[0] + outer, middle, dU[3] + outer])
