"""Products of windows of vectors with one matrix a tap: the linear part of a convolution over a sequence.

Three ways to the same sums. A window of n taps is read as n arrays, one a tap, so that no window is ever joined.
"""

from collections.abc import Callable

from .kernels import ArrayT, Kernels

# gradient of the products -> gradients of the input, the taps and the bias
BackpropT = Callable[[ArrayT], tuple[ArrayT, ArrayT, ArrayT]]


def direct_products(D: ArrayT, taps: ArrayT, bias: ArrayT, *, kernels: Kernels) -> tuple[ArrayT, BackpropT]:
    """Sum over taps of D[tap] @ taps[tap].

    D (Floats3d): (n_taps, n, width).
    taps (Floats3d): (n_taps, width, n_out).
    bias (Floats1d): (n_out,).
    RETURNS: (n, n_out) and the backprop.
    """
    Y = kernels.affine(D[0], taps[0], bias)
    for tap in range(1, len(taps)):
        kernels.add_product(Y, D[tap], taps[tap])

    def backprop(dY: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT]:
        dD, d_taps = kernels.empty(*D.shape), kernels.empty(*taps.shape)
        for tap in range(len(taps)):
            _backprop_product(dY, D[tap], taps[tap], dD[tap], d_taps[tap], kernels)
        return dD, d_taps, dY.sum(0)

    return Y, backprop


def minimal_products(D: ArrayT, taps: ArrayT, bias: ArrayT, *, kernels: Kernels) -> tuple[ArrayT, BackpropT]:
    """Windows of three taps, two neighbours at a time, in four products instead of six: the minimal filter F(2, 3) of
    Winograd 1980 (https://doi.org/10.1137/1.9781611970364), as in Lavin and Gray 2016 (https://arxiv.org/abs/1509.09308).

    D (Floats3d): (4, n, width), the vectors before, at the two neighbours, and after.
    taps (Floats3d): (4, width, n_out), as from `minimal_taps`.
    RETURNS: (2 * n, n_out), all first neighbours before all second, and the backprop.
    """
    xp = kernels.xp
    n, width = D.shape[1:]
    n_out = taps.shape[2]
    V = kernels.empty(4, n, width)
    xp.subtract(D[0], D[2], out=V[0])
    xp.add(D[1], D[2], out=V[1])
    xp.subtract(D[2], D[1], out=V[2])
    xp.subtract(D[3], D[1], out=V[3])
    even, odd = kernels.affine(V[1], taps[1], bias), V[2] @ taps[2]
    Y = kernels.empty(2, n, n_out)
    xp.add(even, odd, out=Y[0])
    xp.subtract(even, odd, out=Y[1])
    kernels.add_product(Y[0], V[0], taps[0])
    kernels.add_product(Y[1], V[3], taps[3])

    def backprop(dY: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT]:
        dY = dY.reshape(2, n, n_out)
        products = [dY[0], dY[0] + dY[1], dY[0] - dY[1], dY[1]]
        dD, d_taps = kernels.empty(4, n, width), kernels.empty(*taps.shape)
        for i, d_product in enumerate(products):
            _backprop_product(d_product, V[i], taps[i], dD[i], d_taps[i], kernels)
        d_first = dD[1] - dD[2]
        dD[2] += dD[1]
        dD[2] -= dD[0]
        xp.subtract(d_first, dD[3], out=dD[1])
        return dD, d_taps, products[1].sum(0)

    return Y.reshape(2 * n, n_out), backprop


def word_products(X: ArrayT, taps: ArrayT) -> ArrayT:
    """The products of each word with every tap, to be looked up: (n_words, width) -> (n_words, n_taps * n_out)."""
    return X @ _side_by_side(taps)


def looked_up_products(P: ArrayT, index: ArrayT, bias: ArrayT, *, kernels: Kernels) -> ArrayT:
    """Sum each window's products, made before.

    P (Floats2d): (n_words, n_taps * n_out), as from `word_products`.
    index (Ints2d): (n_taps, n), the word at each tap of each window.
    RETURNS: (n, n_out).
    """
    n_taps, n_out = len(index), len(bias)
    rows = index * n_taps + kernels.index(_count(n_taps))[:, None]
    Y = kernels.take_sum(P.reshape(-1, n_out), rows.T)
    Y += bias
    return Y


def minimal_taps(taps: ArrayT, *, kernels: Kernels) -> ArrayT:
    """The four matrices of `minimal_products` for three taps, (3, width, n_out) -> (4, width, n_out)."""
    outer, U = (taps[0] + taps[2]) * 0.5, kernels.empty(4, *taps.shape[1:])
    U[0], U[3] = taps[0], taps[2]
    U[1], U[2] = outer + taps[1] * 0.5, outer - taps[1] * 0.5
    return U


def backprop_minimal_taps(dU: ArrayT, *, kernels: Kernels) -> ArrayT:
    """Gradient of the three taps."""
    outer, d_taps = (dU[1] + dU[2]) * 0.5, kernels.empty(3, *dU.shape[1:])
    d_taps[0], d_taps[2] = dU[0] + outer, dU[3] + outer
    d_taps[1] = (dU[1] - dU[2]) * 0.5
    return d_taps
