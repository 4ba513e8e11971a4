"""The best tag sequences where two entities cost something together, by beam search.

Viterbi forgets which types a sequence has already. Here each of the sequences that are kept knows what the next entity
of each type would cost.
"""

import numpy as np

from ..protocols.arrays import FloatsT, IntsT
from .linear_chain import CRFScores, Packing, pack
from .seen_types import Costs
from .tag_scheme import TagScheme

WIDTH = 16


def beam_search(scores: CRFScores, scheme: TagScheme, costs: Costs, classes: IntsT, *, width: int = WIDTH) -> IntsT:
    """Find the tags of each doc, (n_tokens,), whose score less the costs of its pairs of entities is the best.

    scores (CRFScores): Constrained potentials in main memory, less what single entities cost; each doc has tokens.
    classes (n_docs,): The class of each doc.
    width (int): Sequences that are kept at each token. They are the best so far, so the result is the best one unless
        what leads there falls behind `width` others on the way.
    """
    packing = pack(scores.lengths)
    emissions = scores.emissions[packing.rows].astype("d")
    classes, lengths = classes[packing.order], scores.lengths[packing.order]
    begins = scheme.starts & (scheme.label >= 0)
    due = np.zeros((len(classes), 1, scheme.n_labels))
    values, arriving = np.zeros((len(classes), 1)), scores.starts[None, None]
    kept: list[tuple[IntsT, IntsT]] = []
    best = np.empty(len(classes), dtype=np.int64)
    stop = 0
    for step, size in enumerate(packing.sizes.tolist()):
        here, stop = slice(stop, stop + size), stop + size
        found = values[:size, :, None] + arriving[:size] + emissions[here, None]
        found[:, :, begins] -= due[:size, :, scheme.label[begins]]
        ending = lengths[:size] == step + 1
        found[ending] += scores.ends
        values, before, tags = _keep_best(found, width)
        kept.append((before, tags))
        best[:size][ending] = values[ending].argmax(axis=1)
        due = np.take_along_axis(due[:size], before[:, :, None], axis=1)
        docs, begun = np.nonzero(begins[tags])
        due[docs, begun] += costs.pairs[classes[docs], scheme.label[tags[docs, begun]]]
        arriving = scores.transitions[tags]
    return _follow_back(packing, kept, best)


def _keep_best(found: FloatsT, width: int) -> tuple[FloatsT, IntsT, IntsT]:
    """found (n, n_before, n_tags). RETURNS: the best scores, the index of the sequence that each extends, and the
    tags, all (n, n_kept).
    """
    n_tags = found.shape[2]
    flat = found.reshape(len(found), -1)
    indices = np.argpartition(-flat, min(width, flat.shape[1]) - 1, axis=1)[:, :width]
    return np.take_along_axis(flat, indices, axis=1), indices // n_tags, indices % n_tags


def _follow_back(packing: Packing, kept: list[tuple[IntsT, IntsT]], indices: IntsT) -> IntsT:
    """indices (n_docs,): which of the sequences that are kept at a doc's last token."""
    packed = np.empty(len(packing.rows), dtype=np.int64)
    stop = len(packed)
    for before, tags in reversed(kept):
        docs = np.arange(len(tags))
        packed[stop - len(tags) : stop] = tags[docs, indices[: len(tags)]]
        indices[: len(tags)] = before[docs, indices[: len(tags)]]
        stop -= len(tags)
    result = np.empty_like(packed)
    result[packing.rows] = packed
    return result
