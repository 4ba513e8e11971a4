"""The CRF's loss: the negative log-likelihood of tags of which only some may be known."""

import numpy as np
from numpy.typing import NDArray

from .forward_backward import forward_backward
from .linear_chain import CRFScores, path_scores


def likelihood_loss(scores: CRFScores, tags: NDArray[np.int64], possible: NDArray[np.bool_]) -> tuple[float, CRFScores]:
    """Summed loss in nats and its gradient: expected tag counts without the annotation less those with it."""
    lattice = forward_backward(scores)
    expected = lattice.marginals(scores)
    if (tags >= 0).all():
        gold, counts = path_scores(scores, tags)
    else:
        agreeing = forward_backward(scores, possible=possible)
        gold, counts = agreeing.log_partition, agreeing.marginals(scores)
    return lattice.log_partition - gold, expected + counts * -1.0


def any_by_doc(flags: NDArray[np.bool_], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether any of a doc's tokens is flagged, (n_docs,)."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    result: NDArray[np.bool_] = np.bincount(owner[flags], minlength=len(lengths)) > 0
    return result


def select_docs(scores: CRFScores, chosen: NDArray[np.bool_]) -> tuple[CRFScores, NDArray[np.int64]]:
    """The scores of some of the docs, and the rows they have in the whole."""
    rows = np.flatnonzero(np.repeat(chosen, scores.lengths))
    emissions, others = scores.emissions[rows], scores.potentials[1:]
    return CRFScores(emissions, *others, scores.lengths[chosen], scores.kept[rows]), rows
