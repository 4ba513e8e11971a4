"""Beam search for the best tag sequence of a doc when pairs of its entities have a cost.

Viterbi keeps one score for each tag and so forgets which entity types a sequence already contains. Each sequence on the
beam carries the cost that the next entity of each type would add to it.
"""

import numpy as np

from ..protocols.arrays import FloatsT, IntsT
from .linear_chain import CRFScores, Packing, pack
from .seen_types import Costs
from .tag_scheme import TagScheme

WIDTH = 16


def beam_search(scores: CRFScores, scheme: TagScheme, costs: Costs, classes: IntsT, *, width: int = WIDTH) -> IntsT:
    """Find the tags of each doc that have the highest score after the costs of all pairs of its entities.

    scores (CRFScores): Constrained potentials in main memory, from which the costs of single entities are subtracted
        already. No doc may be empty.
    scheme (TagScheme): The scheme of the tags.
    costs (Costs): Costs in nats.
    classes (Ints1d): The class of each doc, (n_docs,).
    width (int): Width of the beam: the number of sequences kept at each token. The result is exact unless a prefix of
        the best sequence falls behind `width` others.
    RETURNS (Ints1d): The tags of all docs, end to end, (n_tokens,).
    """
    packing = pack(scores.lengths)
    emissions = scores.emissions[packing.rows].astype("d")
    classes, lengths = classes[packing.order], scores.lengths[packing.order]
    begins = scheme.begins
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
        # From now on, an entity of any type also costs its pair with the entity that begins here.
        docs, begun = np.nonzero(begins[tags])
        due[docs, begun] += costs.pairs[classes[docs], scheme.label[tags[docs, begun]]]
        arriving = scores.transitions[tags]
    return _follow_back(packing, kept, best)


def _keep_best(found: FloatsT, width: int) -> tuple[FloatsT, IntsT, IntsT]:
    """Keep the `width` best extensions of each doc's sequences.

    found (Floats3d): The score of each sequence on the beam extended by each tag, (n, n_before, n_tags).
    RETURNS: The scores that are kept, the index of the sequence that each one extends, and its tag, (n, n_kept) each,
        in any order.

    With found = [[[1, 5, 2], [4, 0, 3]]] and a width of 2, sequence 0 extended by tag 1 and sequence 1 extended by
    tag 0 are kept: [[5, 4]], [[0, 1]], [[1, 0]].
    """
    n_tags = found.shape[2]
    flat = found.reshape(len(found), -1)
    indices = np.argpartition(-flat, min(width, flat.shape[1]) - 1, axis=1)[:, :width]
    return np.take_along_axis(flat, indices, axis=1), indices // n_tags, indices % n_tags


def _follow_back(packing: Packing, kept: list[tuple[IntsT, IntsT]], indices: IntsT) -> IntsT:
    """Read the tags of the best sequences from the last token to the first.

    kept (list): For each time step the indices of the extended sequences and their tags, as from `_keep_best`.
    indices (Ints1d): The best sequence on the beam at each doc's last token, (n_docs,). It is overwritten.
    RETURNS (Ints1d): The tags in the original order, (n_tokens,).
    """
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
