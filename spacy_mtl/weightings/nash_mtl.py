"""The losses bargain for the update."""

import numpy as np

from ..balance.gramian import GramianT, PerLossT
from ..balance.gramian_weighting import AtT, GramianWeighting
from ..protocols.weighting import Step

# Added to the diagonal: where gradients cancel there is no solution.
RIDGE = 1e-9
N_ROUNDS = 100


def make_nash_mtl_v1(weights: dict[str, float] | None = None, at: AtT = "last_layer", every: int = 1) -> "NashMTL":
    """Build the weighting whose update is Nash's bargaining solution between the losses (Navon et al. 2022,
    "Multi-Task Learning as a Bargaining Game", ICML): the sum of the logarithms of what they gain is largest. It is the
    same however the losses are scaled.

    With G the Gramian of the gradients `g[k]`, and `w[k]` the user's weight, as bargaining power:

        a > 0  such that  (G @ a)[k] = w[k] / a[k]
        update = sum of a[k] * g[k] * (sum of w) / (sum of a)

    The paper takes `a` itself, so that its update has one length whatever the gradients' are; here `a` is scaled to the
    weights, so that the update is comparable with the plain sum and with a batch of one head.

    weights (dict[str, float] | None): Bargaining power of the heads, by name. Heads that are not named have 1.0. With
        0.0 the loss is reported, and trains nothing.
    at (str): Where the gradients are compared: "last_layer" for the parameters of the last shared layer, which the
        encoder must be able to give, "vectors" for the shared vectors.
    every (int): Compare the gradients in one step of so many, on average; the steps between take the last factors that
        the same heads had. 1 for each step, as in the paper; more is cheaper.
    """
    return NashMTL(at=at, every=every, weights=weights)


class NashMTL(GramianWeighting):
    """The weighting."""

    maker = "spacy_mtl.NashMTL.v1"

    def solve(self, gramian: GramianT, weights: PerLossT, step: Step) -> PerLossT:
        """The formula above."""
        bargain = find_bargain(gramian, weights)
        factors: PerLossT = weights.sum() * bargain / bargain.sum()
        return factors


def find_bargain(gramian: GramianT, power: PerLossT) -> PerLossT:
    """The a > 0 with G @ a = power / a, (m,). It is where a'Ga / 2 - sum of power[k] * log a[k] is least: a convex
    problem, on which damped Newton steps can't fail.
    """
    G = gramian + RIDGE * np.eye(len(gramian))
    a = np.sqrt(power / G.diagonal())
    for _ in range(N_ROUNDS):
        slope = G @ a - power / a
        move = np.linalg.solve(G + np.diag(power / a**2), -slope)
        decrement = np.sqrt(max(-slope @ move / power.min(), 0.0))
        a = a + move / (1.0 + decrement if decrement > 0.25 else 1.0)
        if decrement < 1e-8:
            break
    return a
