"""Each gradient projected to where no loss rises."""

import numpy as np

from ..balance.gramian import GramianT, PerLossT
from ..balance.gramian_weighting import AtT, GramianWeighting
from ..balance.nonnegative_qp import minimize_nonnegative
from ..protocols.weighting import Step


def make_upgrad_v1(weights: dict[str, float] | None = None, at: AtT = "last_layer", every: int = 1) -> "UPGrad":
    """Build the weighting that replaces each loss's gradient by the nearest one that conflicts with no other loss's
    (Quinton and Rey 2024, "Jacobian Descent for Multi-Objective Optimization"). A small step along the update raises no
    loss, however many heads there are. Without conflicts it is the plain sum.

    With `g[k]` the gradients, and `w[k]` the user's weight:

        p[k]   = argmin |p - g[k]|,  p · g[i] >= 0 for each head i
        update = sum over heads of w[k] * p[k]

    weights (dict[str, float] | None): Factors of the heads' losses, by name. Heads that are not named have 1.0. With
        0.0 the loss is reported, and trains nothing.
    at (str): Where the gradients are compared: "last_layer" for the parameters of the last shared layer, which the
        encoder must be able to give, "vectors" for the shared vectors.
    every (int): Compare the gradients in one step of so many, on average; the steps between take the last factors that
        the same heads had. 1 for each step, as in the paper; more is cheaper.
    """
    return UPGrad(at=at, every=every, weights=weights)


class UPGrad(GramianWeighting):
    """The weighting."""

    maker = "spacy_mtl.UPGrad.v1"

    def solve(self, gramian: GramianT, weights: PerLossT, step: Step) -> PerLossT:
        """The formula above. The projection adds to g[k] a sum of gradients with factors of at least 0."""
        projected = np.eye(len(gramian)) + [minimize_nonnegative(gramian, row) for row in gramian]
        factors: PerLossT = weights @ projected
        return factors
