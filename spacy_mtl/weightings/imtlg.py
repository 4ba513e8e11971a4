"""A direction that is as far along every gradient."""

import numpy as np

from ..balance.gramian import GramianT, PerLossT
from ..balance.gramian_weighting import AtT, GramianWeighting
from ..protocols.weighting import Step

# Eigenvalues and sums that are smaller by this factor are rounding error.
SMALLEST = 1e-10


def make_imtlg_v1(at: AtT = "last_layer", every: int = 1) -> "IMTLG":
    """Build the weighting whose update has the same projection on each loss's gradient (IMTL-G of Liu et al. 2021,
    "Towards Impartial Multi-Task Learning", ICLR; for gradients that depend on each other as in Quinton and Rey 2024).

    With G the Gramian of the gradients `g[k]` of m heads, and G+ its pseudo-inverse:

        v      = G+ @ [|g[1]|, …, |g[m]|]
        update = m * sum of v[k] / (sum of v) * g[k]

    Of two heads the larger gradient is scaled down until both are equally long. Of more, factors may be negative. Where
    gradients cancel so that the sum of v is zero, it is the plain sum. There are no weights: the projections would be
    as equal with them.

    at (str): Where the gradients are compared: "last_layer" for the parameters of the last shared layer, which the
        encoder must be able to give, "vectors" for the shared vectors.
    every (int): Compare the gradients in one step of so many, on average; the steps between take the last factors that
        the same heads had. 1 for each step, as in the paper; more is cheaper.
    """
    return IMTLG(at=at, every=every)


class IMTLG(GramianWeighting):
    """The weighting."""

    maker = "spacy_mtl.IMTLG.v1"

    def solve(self, gramian: GramianT, weights: PerLossT, step: Step) -> PerLossT:
        """The formula above."""
        inverse = np.linalg.pinv(gramian, rcond=SMALLEST, hermitian=True)
        v = inverse @ np.sqrt(gramian.diagonal())
        if abs(v.sum()) <= SMALLEST * np.abs(v).sum() + SMALLEST:
            return np.ones(len(v))
        factors: PerLossT = len(v) * v / v.sum()
        return factors
