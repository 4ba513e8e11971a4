"""Random loss weights."""

from collections.abc import Mapping

import numpy as np

from ..balance.head_weights import with_mean_one
from ..balance.loss_weighting import LossWeighting
from ..protocols.weighting import Step


def make_rlw_v1(weights: dict[str, float] | None = None, seed: int = 0) -> "RLW":
    """Build the weighting that draws the losses' weights anew in each step (Lin et al. 2021, "Reasonable Effectiveness
    of Random Weighting"). It is a baseline: what can't beat it doesn't balance.

    Of m heads, with z[k] from the standard normal distribution:

        factor[k] = m * exp(z[k]) / sum over heads of exp(z[i])

    weights (dict[str, float] | None): Factors of the heads' losses, by name. Heads that are not named have 1.0. With
        0.0 the loss is reported, and trains nothing.
    seed (int): Seed of the draw. It depends on the seed and on the step alone, so a resumed training has the same.
    """
    return RLW(weights, seed)


class RLW(LossWeighting):
    """The weighting."""

    maker = "spacy_mtl.RLW.v1"

    def __init__(self, weights: Mapping[str, float] | None, seed: int) -> None:
        super().__init__(weights)
        self.seed = seed

    def factors(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The formula above."""
        drawn = np.random.default_rng([self.seed, step.number]).normal(size=len(losses))
        return with_mean_one(dict(zip(sorted(losses), np.exp(drawn).tolist(), strict=True)))
