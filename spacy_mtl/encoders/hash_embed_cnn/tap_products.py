"""Products of windows of vectors with the taps: the linear part of a convolution over a sequence.

A tap is the weight matrix of one position of the window. There are three ways to the same sums: one product of whole
windows; Winograd's algorithm, with fewer products, for windows of three; and looking up products that were computed
once for each word.
"""

from collections.abc import Callable

import numpy as np
from thinc.types import Floats3d
from thinc.util import get_array_module

from ...protocols.arrays import ArrayT
from .kernels import Kernels

# gradient of the products -> gradients of the input, the taps and the bias
ProductsBackpropT = Callable[[ArrayT], tuple[ArrayT, ArrayT, ArrayT]]


def direct_products(X: ArrayT, taps: ArrayT, bias: ArrayT, *, kernels: Kernels) -> tuple[ArrayT, ProductsBackpropT]:
    """Multiply whole windows at once.

    X (Floats3d): Windows, (n, n_taps, width).
    taps (Floats3d): Taps, (n_taps, width, n_out).
    bias (Floats1d): Bias, (n_out,).
    RETURNS: The products (n, n_out), and backprop.
    """
    n_out = taps.shape[2]
    windows, W = X.reshape(len(X), -1), taps.reshape(-1, n_out)

    def backprop(dY: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT]:
        return (dY @ W.T).reshape(X.shape), (windows.T @ dY).reshape(taps.shape), dY.sum(0)

    return kernels.affine(windows, W, bias, out=kernels.empty(len(X), n_out)), backprop


def winograd_products(X: ArrayT, taps: ArrayT, bias: ArrayT, *, kernels: Kernels) -> tuple[ArrayT, ProductsBackpropT]:
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

    def backprop(dY: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT]:
        d0, d3 = dY.reshape(2, n, n_out)
        d1, d2 = d0 + d3, d0 - d3
        dX, d_taps = kernels.empty(4, n, width), kernels.empty(*taps.shape)
        for v, u, d, dx, du in zip(V, taps, (d0, d1, d2, d3), dX, d_taps, strict=True):
            xp.matmul(d, u.T, out=dx)
            xp.matmul(v.T, d, out=du)
        first = dX[1] - dX[2]
        first -= dX[3]
        dX[2] += dX[1]
        dX[2] -= dX[0]
        dX[1] = first
        return dX, d_taps, d1.sum(0)

    return Y.reshape(2 * n, n_out), backprop


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
