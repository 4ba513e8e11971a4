"""The shortest gradient between all."""

import numpy as np

from ..balance.gramian import GramianT, PerLossT
from ..balance.gramian_weighting import AtT, GramianWeighting
from ..balance.nonnegative_qp import minimize_nonnegative
from ..protocols.weighting import Step


def make_mgda_v1(at: AtT = "last_layer", every: int = 1) -> "MGDA":
    """Build the weighting that takes the shortest gradient that lies between those of all losses (Désidéri 2012; Sener
    and Koltun 2018, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS). A small step along it raises no
    loss. Where it is zero no direction lowers all losses: the encoder stays.

    With `g[k]` the gradient of head k's loss, of m heads:

        a      = argmin |sum of a[k] * g[k]|²,  a[k] >= 0,  sum of a[k] = 1
        update = m * sum of a[k] * g[k]

    The shortest gradients count most, so a head that has learned its task takes over and slows the others. There are
    no weights: a larger weight would lower a head's share.

    at (str): Where the gradients are compared: "last_layer" for the parameters of the last shared layer, which the
        encoder must be able to give, "vectors" for the shared vectors.
    every (int): Compare the gradients in one step of so many, on average; the steps between take the last factors that
        the same heads had. 1 for each step, as in the paper; more is cheaper.
    """
    return MGDA(at=at, every=every)


class MGDA(GramianWeighting):
    """The weighting."""

    maker = "spacy_mtl.MGDA.v1"

    def solve(self, gramian: GramianT, weights: PerLossT, step: Step) -> PerLossT:
        """The formula above."""
        return len(gramian) * find_shortest(gramian)


def find_shortest(gramian: GramianT) -> PerLossT:
    """The convex combination of the gradients with the least norm, (m,). It is where
    |sum of x[k] * g[k]|² + (sum of x[k] - 1)² is least among x >= 0, up to the sum of x, which is above 0.
    """
    x = minimize_nonnegative(gramian + 1.0, -np.ones(len(gramian)))
    shares: PerLossT = x / x.sum()
    return shares
