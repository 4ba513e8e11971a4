"""The forward-backward algorithm, in whichever arithmetic the potentials allow."""

import numpy as np
from thinc.util import get_array_module

from ..layers.softmax import row_max
from ..protocols.arrays import ArrayT
from .linear_chain import CRFScores, Lattice, pack, scaled_lattice
from .log_lattice import LogLattice, log_lattice

# Nats. In both tag schemes each tag that can be reached is reached from the best one within three tokens, and a fourth
# step ends the sequence: four such factors and their sums stay above the smallest double, exp(-708).
SAFE = 150.0


def forward_backward(scores: CRFScores, *, possible: ArrayT | None = None) -> Lattice | LogLattice:
    """Run both recursions.

    scores (CRFScores): Constrained potentials.
    possible (n_tokens, n_tags): Restrict the sum to sequences of these tags, at least one a token.
    """
    xp = get_array_module(scores.emissions)
    packing = pack(scores.lengths)
    emissions = scores.emissions[packing.rows].astype("d")
    if possible is not None:
        emissions = xp.where(xp.asarray(possible[packing.rows]), emissions, -np.inf)
    peak = row_max(emissions)
    others = [part.astype("d") for part in scores.potentials[1:]]
    if len(emissions) and not _spread(emissions, peak, others) <= SAFE:
        return log_lattice(packing, emissions, *others)
    return scaled_lattice(packing, emissions, peak, *others)


def _spread(emissions: ArrayT, peak: ArrayT, others: list[ArrayT]) -> float:
    """By how many nats a step can move one tag away from another, at most."""
    xp = get_array_module(emissions)
    spread = (peak - xp.where(emissions > -np.inf, emissions, peak)).max()
    sizes = [xp.where(part > -np.inf, part, 0.0) for part in others]
    return float(spread + sum(xp.maximum(part, -part).max() for part in sizes))
