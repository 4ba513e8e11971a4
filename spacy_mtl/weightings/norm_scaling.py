"""Gradients of one length."""

import numpy as np

from ..balance.gramian import GramianT, PerLossT
from ..balance.gramian_weighting import AtT, GramianWeighting
from ..protocols.weighting import Step


def make_norm_scaling_v1(
    weights: dict[str, float] | None = None, at: AtT = "last_layer", every: int = 1
) -> "NormScaling":
    """Build the weighting that brings each loss's gradient to the same norm, so that no head moves the encoder more
    than another only because its loss is larger. It has no state and nothing to learn. (As in gradient normalisation
    by Chen et al. 2018, solved in each step rather than followed; Lin et al. 2023, "Dual-Balancing for Multi-Task
    Learning", does the same to the largest norm.)

    With `g[k]` the gradient of head k's loss and `w[k]` the user's weight:

        norm   = mean over heads of |g[k]|
        update = sum over heads of w[k] * norm / |g[k]| * g[k]

    A head that has little left to learn is lifted like any other, noise and all.

    weights (dict[str, float] | None): Relative lengths that the gradients shall have, by head. Heads that are not named
        have 1.0. With 0.0 the loss is reported, and trains nothing.
    at (str): Where the gradients are compared: "last_layer" for the parameters of the last shared layer, which the
        encoder must be able to give, "vectors" for the shared vectors.
    every (int): Compare the gradients in one step of so many, on average; the steps between take the last factors that
        the same heads had. 1 for each step, as in the paper; more is cheaper.
    """
    return NormScaling(at=at, every=every, weights=weights)


class NormScaling(GramianWeighting):
    """The weighting."""

    maker = "spacy_mtl.NormScaling.v1"

    def solve(self, gramian: GramianT, weights: PerLossT, step: Step) -> PerLossT:
        """The formula above."""
        norms = np.sqrt(gramian.diagonal())
        factors: PerLossT = weights * norms.mean() / norms
        return factors
