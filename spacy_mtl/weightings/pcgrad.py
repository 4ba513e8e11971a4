"""Projecting conflicts away, pair by pair."""

from collections.abc import Sequence

import numpy as np

from ..balance.gramian import GramianT, PerLossT
from ..balance.gramian_weighting import AtT, GramianWeighting
from ..protocols.weighting import Step


def make_pcgrad_v1(
    weights: dict[str, float] | None = None, at: AtT = "last_layer", seed: int = 0, every: int = 1
) -> "PCGrad":
    """Build the weighting that removes from each loss's gradient what conflicts with the others' (Yu et al. 2020,
    "Gradient Surgery for Multi-Task Learning", NeurIPS). Without conflicts it is the plain sum.

    For each gradient `g[k]`, with the other gradients in random order:

        p = g[k]
        for each other gradient g[i]:  if p · g[i] < 0:  p = p - (p · g[i]) / |g[i]|² * g[i]
        update = sum over heads of w[k] * p[k]

    Only of two heads it is sure that the update conflicts with neither.

    weights (dict[str, float] | None): Factors of the heads' losses, by name. Heads that are not named have 1.0. With
        0.0 the loss is reported, and trains nothing.
    at (str): Where the gradients are compared: "last_layer" for the parameters of the last shared layer, which the
        encoder must be able to give, "vectors" for the shared vectors.
    seed (int): Seed of the order. The order depends on it and on the step alone, so a resumed training has the same.
    every (int): Compare the gradients in one step of so many, on average; the steps between take the last factors that
        the same heads had. 1 for each step, as in the paper; more is cheaper.
    """
    return PCGrad(seed, at=at, every=every, weights=weights)


class PCGrad(GramianWeighting):
    """The weighting."""

    maker = "spacy_mtl.PCGrad.v1"

    def __init__(self, seed: int, *, at: AtT, every: int, weights: dict[str, float] | None) -> None:
        super().__init__(at=at, every=every, weights=weights)
        self.seed = seed

    def solve(self, gramian: GramianT, weights: PerLossT, step: Step) -> PerLossT:
        """The formula above."""
        rng = np.random.default_rng([self.seed, step.number])
        projected = project_pairwise(gramian, [rng.permutation(len(weights)).tolist() for _ in weights])
        factors: PerLossT = projected.T @ weights
        return factors


def project_pairwise(gramian: GramianT, orders: Sequence[Sequence[int]]) -> GramianT:
    """The factors of all gradients in each one after its projections, (m, m).

    orders (Sequence[Sequence[int]]): For each gradient, the order in which it meets the others.
    """
    found = np.eye(len(gramian))
    for own, (row, order) in enumerate(zip(found, orders, strict=True)):
        for other in order:
            product = gramian[other] @ row
            if other != own and product < 0:
                row[other] -= product / gramian[other, other]
    return found
