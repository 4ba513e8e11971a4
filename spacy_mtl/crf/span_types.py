"""How likely other types are for decoded spans, at the same places."""

import numpy as np
from thinc.util import to_numpy

from ..layers.ragged_rows import first_rows, row_ranges
from ..protocols.arrays import FloatsT, IntsT
from .linear_chain import CRFScores
from .tag_scheme import PREFIXES, TagScheme


def span_type_scores(scores: CRFScores, tags: IntsT, starts: IntsT, ends: IntsT, scheme: TagScheme) -> FloatsT:
    """Compute how the log-potential of the decoded sequence changes if one span gets another type, and all other tags
    stay.

    scores (CRFScores): Constrained potentials.
    tags (IntsT): The decoded tags of all docs, end to end, (n_tokens,).
    starts, ends (IntsT): The row of each span's first token, and the row after its last, (n_spans,).
    scheme (TagScheme): The tags.
    RETURNS (FloatsT): In nats, (n_spans, n_labels); 0 for the type that the span has.
    """
    if not len(starts):
        return np.zeros((0, scheme.n_labels))
    emissions, transitions, begins, finals = (to_numpy(part).astype("d") for part in scores.potentials)
    step = len(PREFIXES[scheme.kind])
    # for each token of a span, its tag with every type: the prefix stays
    rows = row_ranges(starts, ends - starts)
    others = 1 + (tags[rows] - 1)[:, None] % step + np.arange(scheme.n_labels) * step
    total = np.add.reduceat(emissions[rows[:, None], others], first_rows(ends - starts))
    inside = np.flatnonzero(np.diff(rows, prepend=-2) == 1)
    inside = inside[~np.isin(rows[inside], starts)]
    owners = np.searchsorted(starts, rows[inside], side="right") - 1
    np.add.at(total, owners, transitions[others[inside - 1], others[inside]])
    first, last = others[first_rows(ends - starts)], others[np.cumsum(ends - starts) - 1]
    doc_starts = first_rows(scores.lengths[scores.lengths > 0])
    doc_ends = doc_starts + scores.lengths[scores.lengths > 0]
    before, after = tags[np.maximum(starts - 1, 0)], tags[np.minimum(ends, len(tags) - 1)]
    total += np.where(np.isin(starts, doc_starts)[:, None], begins[first], transitions[before[:, None], first])
    total += np.where(np.isin(ends, doc_ends)[:, None], finals[last], transitions[last, after[:, None]])
    own = total[np.arange(len(starts)), scheme.label[tags[starts]]]
    return total - own[:, None]
