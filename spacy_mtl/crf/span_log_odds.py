"""The log-odds of a span under a CRF, and their gradient.

The tag sequences that contain exactly the span compete with all others. The others are counted by the first token at
which they leave the span, so that nothing is counted twice:

    log-odds = log Z(span) - log sum over k of Z(tags of the span before token k, any other tag at token k)

Each Z sums over sequences of given tags and comes from one run of the forward algorithm; no probability is subtracted
from 1, so that the result is exact for spans of any probability. Its gradient is the span's marginals minus those of
the others.
"""

from dataclasses import dataclass

import numpy as np
from thinc.util import get_array_module, to_numpy

from ..protocols.arrays import BoolsT, IntsT
from .forward_backward import forward_backward
from .linear_chain import CRFScores, constrain
from .tag_scheme import TagScheme


@dataclass(frozen=True)
class SpanOdds:
    """A span of one sequence against everything else.

    scheme (TagScheme): The tags.
    inside (Bools2d): The tags that each token has in sequences with the span, (n_tokens, n_tags).
    others (list[Bools2d]): The same for the sequences without it: by the token at which they leave the span.
    """

    scheme: TagScheme
    inside: BoolsT
    others: list[BoolsT]

    def measure(self, scores: CRFScores) -> tuple[float, CRFScores]:
        """Compute the log-odds in nats, and their gradient.

        scores (CRFScores): The potentials of a single sequence, not constrained.
        """
        small = scores.with_potentials(to_numpy(part).astype("d") for part in scores.potentials)
        constrained = constrain(small, self.scheme)
        mine, d_mine = _log_partition(constrained, small, self.inside)
        logs, gradients = zip(*(_log_partition(constrained, small, tags) for tags in self.others), strict=True)
        peak = max(logs)
        weights = np.exp(np.array(logs) - peak)
        gradient = d_mine
        for weight, d_other in zip((weights / weights.sum()).tolist(), gradients, strict=True):
            gradient = gradient + d_other * -weight
        xp, dtype = get_array_module(scores.emissions), scores.emissions.dtype
        parts = [xp.asarray(part.astype(dtype)) for part in gradient.potentials]
        return float(mine - peak - np.log(weights.sum())), scores.with_potentials(parts)


def span_odds(scheme: TagScheme, possible: BoolsT, start: int, end: int, label: int) -> SpanOdds | None:
    """Set up the log-odds of a span.

    scheme (TagScheme): The tags.
    possible (Bools2d): The tags that the doc allows at each token, (n_tokens, n_tags).
    start, end (int): The span's first token, and the one after its last.
    label (int): Index of its label.
    RETURNS (SpanOdds | None): None if no tag sequence contains the span.
    """
    possible = possible.copy()
    possible[0] &= scheme.starts
    possible[-1] &= scheme.ends
    tags = span_tags(scheme, end - start, label)
    inside = possible.copy()
    others = []
    for row, tag in zip(range(start, end), tags.tolist(), strict=True):
        leaving = inside.copy()
        leaving[row, tag] = False
        others.append(leaving)
        inside[row] &= np.arange(scheme.n_tags) == tag
    if end < len(possible):
        # A BIO span goes on with an I; in BILUO the tags themselves say that it ends.
        continues = scheme.allowed[tags[-1]] & ~scheme.starts
        leaving = inside.copy()
        leaving[end] &= continues
        others.append(leaving)
        inside[end] &= ~continues
    reachable = [mask for mask in others if _has_path(scheme, mask)]
    return SpanOdds(scheme, inside, reachable) if reachable and _has_path(scheme, inside) else None


def span_tags(scheme: TagScheme, size: int, label: int) -> IntsT:
    """The tags of a span of so many tokens, (size,)."""
    lengths, begins = np.array([size]), np.array([3, *[1] * (size - 1)])
    return scheme.encode(begins, np.full(size, label), lengths)[0]


def _log_partition(constrained: CRFScores, scores: CRFScores, possible: BoolsT) -> tuple[float, CRFScores]:
    """RETURNS: The log of the sum over all sequences of these tags, and its gradient: the marginals."""
    lattice = forward_backward(constrained, possible=possible)
    return float(lattice.log_partition), lattice.marginals(scores)


def _has_path(scheme: TagScheme, possible: BoolsT) -> bool:
    """Whether any valid tag sequence has these tags."""
    reached = possible[0]
    for row in possible[1:]:
        reached = (reached @ scheme.allowed) & row
    return bool(reached.any())
