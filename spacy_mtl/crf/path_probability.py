"""The probability of a whole tag sequence under a CRF."""

import numpy as np
from thinc.util import to_numpy

from ..layers.ragged_rows import first_rows, row_owners
from ..protocols.arrays import BoolsT, FloatsT, IntsT
from .forward_backward import forward_backward
from .linear_chain import CRFScores


def path_probabilities(scores: CRFScores, tags: IntsT) -> FloatsT:
    """Return the probability of each doc's tags: exp(score of its path - log Z).

    scores (CRFScores): Constrained potentials.
    tags (Ints1d): A valid sequence for each doc, end to end, (n_tokens,).
    RETURNS (Floats1d): Probabilities from 0 to 1, (n_docs,). A doc without tokens has a single, empty sequence: 1.
    """
    if not len(tags):
        return np.ones(len(scores.lengths))
    logs: FloatsT = path_log_scores(scores, tags) - log_partitions(scores)
    return np.exp(np.minimum(logs, 0.0))


def path_log_scores(scores: CRFScores, tags: IntsT) -> FloatsT:
    """Return the log-potential of each doc's tags, in nats, (n_docs,)."""
    emissions, transitions, starts, ends = (to_numpy(part).astype("d") for part in scores.potentials)
    lengths = to_numpy(scores.lengths)
    running = np.flatnonzero(lengths)
    first = first_rows(lengths[running])
    last = first + lengths[running] - 1
    by_token: FloatsT = emissions[np.arange(len(tags)), tags]
    by_token[1:] += np.where(np.isin(np.arange(1, len(tags)), first), 0.0, transitions[tags[:-1], tags[1:]])
    total = _sum_by_doc(by_token, row_owners(lengths), len(lengths))
    total[running] += starts[tags[first]] + ends[tags[last]]
    return total


def log_partitions(scores: CRFScores, *, possible: BoolsT | None = None) -> FloatsT:
    """Return log Z of each doc, in nats, (n_docs,); 0 for a doc without tokens.

    possible (BoolsT | None): Sum only over sequences of these tags, (n_tokens, n_tags).
    """
    lengths = to_numpy(scores.lengths)
    lattice = forward_backward(scores, possible=possible)
    owners = row_owners(lengths)[lattice.packing.rows]
    total = _sum_by_doc(to_numpy(lattice.log_scale), owners, len(lengths))
    total[lattice.packing.order] += to_numpy(lattice.log_end)
    return total


def _sum_by_doc(values: FloatsT, owners: IntsT, n_docs: int) -> FloatsT:
    return np.bincount(owners, weights=values, minlength=n_docs).astype("d")
