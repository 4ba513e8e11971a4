"""The class of a doc and the types of its entities, decided together.

Some types hardly ever go with some classes: no artist in a question about the weather. Others hardly ever go together:
no two dates in one booking. A classifier and a CRF that decode on their own give such combinations. Here the best one
wins after what it costs: argmax over class c and tags t of log p(c) + score(t) - costs of t's entities in c. Where the
best class and the best tags cost nothing, they are that combination, so only the other docs, few once the model is
trained, are decoded again, once for each class that may still win. What an entity costs is a potential of the CRF like
others; only where pairs of entities cost something other tags are searched for. Inference over what several classifiers
say: Roth and Yih 2004, "A Linear Programming Formulation for Global Inference in Natural Language Tasks".
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from thinc.util import get_array_module, to_numpy

from ..layers.ragged_rows import first_rows, row_owners, row_ranges
from ..layers.softmax import log_softmax
from ..protocols.arrays import ArrayT, FloatsT, IntsT
from .beam_search import beam_search
from .linear_chain import CRFScores
from .path_probability import path_log_scores
from .seen_types import Costs
from .tag_scheme import TagScheme
from .viterbi import viterbi

# of docs that are decoded for several classes at once
MAX_TOKENS = 2**13
# in nats, by which classes that are out stay behind
MARGIN = 1e-6


def decode_jointly(scores: CRFScores, logits: ArrayT, scheme: TagScheme, costs: Costs) -> tuple[CRFScores, ArrayT]:
    """Decide tags and classes.

    scores (CRFScores): Constrained potentials. logits (n_docs, n_classes): of the classes.
    RETURNS: The scores, with the best tags in `tags`, and the logits. In docs whose best class and best tags cost
        something together, the new class's costs of entities are taken off the emissions, and the logits are, up to a
        constant, the log-scores of the best combination with each class, or a bound below the best of all.
    """
    tags = viterbi(scores)
    found = costs_of(tags, scores.lengths, to_numpy(logits.argmax(axis=1)), scheme, costs)
    doubtful = np.flatnonzero(found > 0)
    if not len(doubtful):
        return replace(scores, tags=tags), logits
    xp = get_array_module(logits)
    log_classes = to_numpy(log_softmax(logits)).astype("d")
    of_tags = _costs_of_tags(scheme, costs)
    emissions, logits = scores.emissions.copy(), logits.copy()
    for docs in _batches(doubtful, scores.lengths, log_classes.shape[1]):
        rows = _rows(scores.lengths, docs)
        near = scores.with_potentials(map(to_numpy, (scores.emissions[rows], *scores.potentials[1:])))
        part = replace(near, lengths=scores.lengths[docs], tags=tags[rows])
        joint, tags[rows] = _decide(part, log_classes[docs], found[docs], of_tags, scheme, costs)
        chosen = np.repeat(joint.argmax(axis=1), part.lengths)
        emissions[rows] -= xp.asarray(of_tags[chosen], dtype=emissions.dtype)
        logits[docs] = xp.asarray(joint - joint.max(axis=1, keepdims=True), dtype=logits.dtype)
    return replace(scores, emissions=emissions, tags=tags), logits


def costs_of(tags: IntsT, lengths: IntsT, classes: IntsT, scheme: TagScheme, costs: Costs) -> FloatsT:
    """What the entities of each doc cost in its class, alone and in pairs, (n_docs,).

    tags (n_tokens,), lengths (n_docs,), classes (n_docs,).
    """
    return _by_class(costs.of_counts, _count_types(tags, lengths, scheme), classes)


def _decide(
    scores: CRFScores, log_classes: FloatsT, found: FloatsT, of_tags: FloatsT, scheme: TagScheme, costs: Costs
) -> tuple[FloatsT, IntsT]:
    """scores: with the best tags of all. found (n_docs,): what these cost in the best class.
    of_tags (n_classes, n_tags): what a tag's entity costs.
    RETURNS: the log-scores of each doc's best combination with each class, (n_docs, n_classes), and the tags of the
    best of all, (n_tokens,).
    """
    assert scores.tags is not None
    # no class can have more than with the best tags at no cost
    joint = log_classes + path_log_scores(scores, scores.tags)[:, None]
    docs, classes = np.nonzero(log_classes >= log_classes.max(axis=1, keepdims=True) - found[:, None])
    copies = _take(scores, docs)
    copies = replace(copies, emissions=copies.emissions - of_tags[np.repeat(classes, copies.lengths)])
    tags = viterbi(copies)
    bound = log_classes[docs, classes] + path_log_scores(copies, tags)
    values = bound - _pair_costs_of(tags, copies.lengths, classes, scheme, costs)
    open_ = np.flatnonzero((values < bound) & (bound > _best_by_doc(values, docs)[docs]))
    if len(open_):
        others, gains = _search(_take(copies, open_), tags[_rows(copies.lengths, open_)], classes[open_], scheme, costs)
        tags[_rows(copies.lengths, open_)] = others
        values[open_] += gains
        bound[open_] = values[open_]
    best = _best_by_doc(values, docs)
    chosen = np.flatnonzero(values == best[docs])
    chosen = chosen[np.unique(docs[chosen], return_index=True)[1]]
    joint[docs, classes] = bound
    joint = np.minimum(joint, best[:, None] - MARGIN)
    joint[np.arange(len(joint)), classes[chosen]] = best
    return joint, tags[_rows(copies.lengths, chosen)]


def _search(scores: CRFScores, tags: IntsT, classes: IntsT, scheme: TagScheme, costs: Costs) -> tuple[IntsT, FloatsT]:
    """Look for tags that are better than these (n_tokens,) after the costs of pairs.

    RETURNS: The better ones of both, (n_tokens,), and by how much they are better, (n_docs,).
    """
    others = beam_search(scores, scheme, costs, classes)
    values = [
        path_log_scores(scores, path) - _pair_costs_of(path, scores.lengths, classes, scheme, costs)
        for path in (tags, others)
    ]
    gains = np.maximum(values[1] - values[0], 0.0)
    return np.where(np.repeat(gains > 0, scores.lengths), others, tags), gains


def _best_by_doc(values: FloatsT, docs: IntsT) -> FloatsT:
    """The greatest value of each doc, (n_docs,). docs (n_values,): sorted, none is left out."""
    return np.maximum.reduceat(values, np.flatnonzero(np.diff(docs, prepend=-1)))


def _costs_of_tags(scheme: TagScheme, costs: Costs) -> FloatsT:
    """What the entity that a tag begins costs in each class, (n_classes, n_tags)."""
    begins = scheme.starts & (scheme.label >= 0)
    result: FloatsT = np.where(begins, costs.types[:, scheme.label], 0.0)
    return result


def _pair_costs_of(tags: IntsT, lengths: IntsT, classes: IntsT, scheme: TagScheme, costs: Costs) -> FloatsT:
    """What the entities of each doc cost in pairs, (n_docs,)."""
    return _by_class(costs.of_pairs, _count_types(tags, lengths, scheme), classes)


def _by_class(find: Callable[[FloatsT, int], FloatsT], counts: FloatsT, classes: IntsT) -> FloatsT:
    result = np.zeros(len(counts))
    for index in np.unique(classes):
        docs = np.flatnonzero(classes == index)
        result[docs] = find(counts[docs], int(index))
    return result


def _count_types(tags: IntsT, lengths: IntsT, scheme: TagScheme) -> FloatsT:
    """The number of each doc's entities of each type, (n_docs, n_labels)."""
    starts, _, labels = scheme.spans(tags)
    owners = row_owners(lengths)[starts]
    counts = np.bincount(owners * scheme.n_labels + labels, minlength=len(lengths) * scheme.n_labels)
    return counts.reshape(-1, scheme.n_labels).astype("d")


def _take(scores: CRFScores, docs: IntsT) -> CRFScores:
    """These docs, one after the other; a doc may come several times."""
    rows = _rows(scores.lengths, docs)
    return replace(scores, emissions=scores.emissions[rows], lengths=scores.lengths[docs])


def _rows(lengths: IntsT, docs: IntsT) -> IntsT:
    """The rows of the docs' tokens."""
    return row_ranges(first_rows(lengths)[docs], lengths[docs])


def _batches(docs: IntsT, lengths: IntsT, n_copies: int) -> list[IntsT]:
    """The docs in runs of a bounded number of tokens."""
    runs = np.cumsum(lengths[docs] * n_copies) // MAX_TOKENS
    return np.split(docs, np.flatnonzero(np.diff(runs)) + 1)
