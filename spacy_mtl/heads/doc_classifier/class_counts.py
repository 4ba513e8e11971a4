"""How many classes apply to a doc: the loss of the count, and the classes that agree with it."""

import numpy as np
from thinc.util import get_array_module

from ...layers.softmax import log_softmax, softmax
from ...protocols.arrays import ArrayT

# counts that are told apart: 0, 1, … and 8 or more
N_COUNTS = 9
# distance in nats from the nearest class at which the threshold lies if all classes apply, or none
MARGIN = 0.1


def count_loss(gold: ArrayT, counts: ArrayT) -> tuple[ArrayT, ArrayT]:
    """Compute the cross-entropy of the number of classes of each doc whose classes are all known.

    gold (ArrayT): (n_docs, n_labels): above 0 if the class applies, NaN where missing.
    counts (ArrayT): Logits of the counts, (n_docs, N_COUNTS).
    RETURNS: the loss of each row in nats, (n_docs,), and the gradient of their sum, (n_docs, N_COUNTS).
    """
    xp = get_array_module(counts)
    is_known = ~xp.isnan(gold).any(axis=1)
    number = xp.minimum((gold > 0).sum(axis=1), N_COUNTS - 1)
    target = (number[:, None] == xp.arange(N_COUNTS)) * is_known[:, None]
    losses = -(target * log_softmax(counts)).sum(axis=1)
    return losses, (softmax(counts) * is_known[:, None] - target).astype(counts.dtype)


def shift_to_count(logits: ArrayT, counts: ArrayT) -> ArrayT:
    """Shift the logits of each doc so that as many are above 0 as apply in the best explanation of both: the highest
    K classes, where the sum of their logits and the log-probability of the count K is greatest.

    With logits 3, 1, -2 and a certain count of 1, the threshold lies between 3 and 1: they become 1, -1, -4.
    Logits of which K are above 0 already stay.

    logits (ArrayT): (n_docs, n_labels).
    counts (ArrayT): Logits of the counts, (n_docs, N_COUNTS).
    """
    xp = get_array_module(logits)
    n_docs, n_labels = logits.shape
    ordered = -xp.sort(-logits, axis=1)
    sums = xp.concatenate([xp.zeros((n_docs, 1), dtype=logits.dtype), xp.cumsum(ordered, axis=1)], axis=1)
    index = xp.asarray(np.minimum(np.arange(n_labels + 1), N_COUNTS - 1))
    best = (sums + log_softmax(counts)[:, index]).argmax(axis=1)
    ends = (ordered[:, :1] + 2 * MARGIN, ordered, ordered[:, -1:] - 2 * MARGIN)
    edges, rows = xp.concatenate(ends, axis=1), xp.arange(n_docs)
    above, below = edges[rows, best], edges[rows, best + 1]
    agrees = (above > 0) & (below < 0)
    agrees |= (best == 0) & (below < 0) | (best == n_labels) & (above > 0)
    return logits - xp.where(agrees, 0.0, (above + below) / 2)[:, None]
