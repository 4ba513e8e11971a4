"""Gradients made orthogonal and equally long."""

import numpy as np

from ..balance.gramian import GramianT, PerLossT
from ..balance.gramian_weighting import AtT, GramianWeighting
from ..protocols.weighting import Step

# Eigenvalues that are smaller than the largest by this factor are rounding error.
SMALLEST = 1e-10


def make_aligned_mtl_v1(
    weights: dict[str, float] | None = None, at: AtT = "last_layer", every: int = 1
) -> "AlignedMTL":
    """Build the weighting that replaces the losses' gradients by the nearest ones that are orthogonal and equally long,
    as short as the weakest of their principal components (Senushkin et al. 2023, "Independent Component Alignment for
    Multi-Task Learning", CVPR). So neither conflict nor dominance is left: the condition number is 1.

    With G = V diag(λ) V' the Gramian of the gradients `g[k]`, without eigenvalues of zero, and `w[k]` the user's
    weight:

        B      = sqrt(min λ) * V diag(1 / sqrt(λ)) V'
        update = sum over heads of (B @ w)[k] * g[k]

    Where gradients nearly oppose each other the update is short.

    weights (dict[str, float] | None): Factors of the aligned gradients, by head. Heads that are not named have 1.0.
        With 0.0 the loss is reported, and trains nothing.
    at (str): Where the gradients are compared: "last_layer" for the parameters of the last shared layer, which the
        encoder must be able to give, "vectors" for the shared vectors.
    every (int): Compare the gradients in one step of so many, on average; the steps between take the last factors that
        the same heads had. 1 for each step, as in the paper; more is cheaper.
    """
    return AlignedMTL(at=at, every=every, weights=weights)


class AlignedMTL(GramianWeighting):
    """The weighting."""

    maker = "spacy_mtl.AlignedMTL.v1"

    def solve(self, gramian: GramianT, weights: PerLossT, step: Step) -> PerLossT:
        """The formula above."""
        factors: PerLossT = alignment(gramian) @ weights
        return factors


def alignment(gramian: GramianT) -> GramianT:
    """The matrix B, (m, m): its rows are the aligned gradients in terms of the given ones."""
    values, vectors = np.linalg.eigh(gramian)
    kept = values > SMALLEST * values.max()
    values, vectors = values[kept], vectors[:, kept]
    aligned: GramianT = (vectors * np.sqrt(values.min() / values)) @ vectors.T
    return aligned
