"""The forward-backward algorithm: on scaled probabilities where they are safe, otherwise on logarithms."""

import numpy as np
from thinc.util import get_array_module

from ..layers.softmax import row_max
from ..protocols.arrays import ArrayT
from .linear_chain import CRFScores, pack
from .log_lattice import LogLattice, log_lattice
from .scaled_lattice import ScaledLattice, scaled_lattice

# In nats. In both tag schemes the best tag leads to every reachable tag within three tokens, and a fourth step ends the
# sequence. The product of four factors of exp(-150) is still above the smallest normal double, about exp(-708).
SAFE = 150.0


def forward_backward(scores: CRFScores, *, possible: ArrayT | None = None) -> ScaledLattice | LogLattice:
    """Run the forward and the backward recursion.

    scores (CRFScores): Constrained potentials.
    possible (Bools2d | None): The tags that each token may have, at least one for each, (n_tokens, n_tags). The sum
        then covers only sequences of these tags, as partial annotation needs.
    RETURNS (ScaledLattice | LogLattice): The forward and backward variables.
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
    """Return an upper bound, in nats, on how far a single step can move the scores of two tags apart."""
    xp = get_array_module(emissions)
    spread = (peak - xp.where(emissions > -np.inf, emissions, peak)).max()
    sizes = [xp.where(part > -np.inf, part, 0.0) for part in others]
    return float(spread + sum(xp.maximum(part, -part).max() for part in sizes))
