"""Joint decoding of a doc's class and its entities.

Some entity types hardly ever occur with some classes: there is no artist in a question about the weather. Some hardly
ever occur together: there are no two dates in one booking. A classifier and a CRF that decode separately produce such
combinations. Joint decoding chooses the class c and the tags t with the greatest

    log p(c) + score(t) - costs of the entities of t in a doc of class c.

Where the best class and the best tags cost nothing together, they are the answer. Only the other docs, few once the
model is trained, are decoded again: once for each class that can still win. The cost of a single entity is subtracted
from the emissions, so Viterbi stays exact; beam search is needed only where pairs of entities have a cost.

Global inference over the outputs of several classifiers: Roth and Yih 2004, "A Linear Programming Formulation for
Global Inference in Natural Language Tasks", CoNLL.
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

# tokens in a batch of docs that are decoded again, copies for several classes included
MAX_TOKENS = 2**13
# nats between the chosen class and the others, so that rounding to float32 does not reverse their order
MARGIN = 1e-6


def decode_jointly(scores: CRFScores, logits: ArrayT, scheme: TagScheme, costs: Costs) -> tuple[CRFScores, ArrayT]:
    """Find the best combination of class and tags for each doc.

    scores (CRFScores): Constrained potentials.
    logits (Floats2d): Scores of the classes, (n_docs, n_classes).
    scheme (TagScheme): The scheme of the tags.
    costs (Costs): Costs of the entity types in each class, in nats.
    RETURNS: The scores with the best tags in `tags`, and the logits. Docs whose best class and best tags cost nothing
        together keep their potentials and logits. In the others, the entity costs of the chosen class are subtracted
        from the emissions, and the logits become the log-score of the best combination with each class, less that of
        the best of all. A class that cannot win may have an upper bound in its place.

    A doc of one token, with p(play) = 0.4, p(weather) = 0.6, and B-artist 2 nats above O. In `weather` an artist costs
    3 nats. log 0.4 + 2 = 1.08 beats log 0.6 + 0 = -0.51 and log 0.6 + 2 - 3 = -1.51, so the doc is `play` with an
    artist, and its logits are [0, -1.59].
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
    """Return the cost of each doc's entities in its class, of single entities and of pairs, in nats, (n_docs,).

    tags (Ints1d): Valid tag sequences, end to end, (n_tokens,).
    lengths (Ints1d): Number of tokens of each doc, (n_docs,).
    classes (Ints1d): The class of each doc, (n_docs,).
    """
    return _by_class(costs.of_counts, _count_types(tags, lengths, scheme), classes)


def _decide(
    scores: CRFScores, log_classes: FloatsT, found: FloatsT, of_tags: FloatsT, scheme: TagScheme, costs: Costs
) -> tuple[FloatsT, IntsT]:
    """Decode docs once for each class that can still win.

    scores (CRFScores): Constrained potentials, with the tags that are best without costs.
    log_classes (Floats2d): Log-probabilities of the classes, (n_docs, n_classes).
    found (Floats1d): Cost of these tags in the most probable class, (n_docs,).
    of_tags (Floats2d): Cost of the entity that each tag begins, (n_classes, n_tags).
    RETURNS: The log-score of each doc's best combination with each class, or an upper bound for classes that cannot
        win, (n_docs, n_classes); and the tags of the best combination of all, (n_tokens,).
    """
    assert scores.tags is not None
    # An upper bound for every class: its log-probability with the best tags at no cost.
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
    """Search for tags with a higher score after the costs of pairs.

    tags (Ints1d): The tags to improve on, (n_tokens,).
    RETURNS: For each doc the better of the old and the new tags, (n_tokens,), and the gain in nats, at least 0,
        (n_docs,).
    """
    others = beam_search(scores, scheme, costs, classes)
    values = [
        path_log_scores(scores, path) - _pair_costs_of(path, scores.lengths, classes, scheme, costs)
        for path in (tags, others)
    ]
    gains = np.maximum(values[1] - values[0], 0.0)
    return np.where(np.repeat(gains > 0, scores.lengths), others, tags), gains


def _best_by_doc(values: FloatsT, docs: IntsT) -> FloatsT:
    """Return the greatest value of each doc, (n_docs,).

    docs (Ints1d): The doc of each value, sorted; every doc has one, (n_values,).
    """
    return np.maximum.reduceat(values, np.flatnonzero(np.diff(docs, prepend=-1)))


def _costs_of_tags(scheme: TagScheme, costs: Costs) -> FloatsT:
    """Return the cost, in each class, of the entity that a tag begins, (n_classes, n_tags)."""
    begins = scheme.starts & (scheme.label >= 0)
    result: FloatsT = np.where(begins, costs.types[:, scheme.label], 0.0)
    return result


def _pair_costs_of(tags: IntsT, lengths: IntsT, classes: IntsT, scheme: TagScheme, costs: Costs) -> FloatsT:
    """Return the cost of all pairs of each doc's entities, (n_docs,)."""
    return _by_class(costs.of_pairs, _count_types(tags, lengths, scheme), classes)


def _by_class(find: Callable[[FloatsT, int], FloatsT], counts: FloatsT, classes: IntsT) -> FloatsT:
    result = np.zeros(len(counts))
    for index in np.unique(classes):
        docs = np.flatnonzero(classes == index)
        result[docs] = find(counts[docs], int(index))
    return result


def _count_types(tags: IntsT, lengths: IntsT, scheme: TagScheme) -> FloatsT:
    """Count the entities of each type in each doc, (n_docs, n_labels)."""
    starts, _, labels = scheme.spans(tags)
    owners = row_owners(lengths)[starts]
    counts = np.bincount(owners * scheme.n_labels + labels, minlength=len(lengths) * scheme.n_labels)
    return counts.reshape(-1, scheme.n_labels).astype("d")


def _take(scores: CRFScores, docs: IntsT) -> CRFScores:
    """Select docs, in this order. A doc may occur several times."""
    rows = _rows(scores.lengths, docs)
    return replace(scores, emissions=scores.emissions[rows], lengths=scores.lengths[docs])


def _rows(lengths: IntsT, docs: IntsT) -> IntsT:
    """Return the rows of these docs' tokens."""
    return row_ranges(first_rows(lengths)[docs], lengths[docs])


def _batches(docs: IntsT, lengths: IntsT, n_copies: int) -> list[IntsT]:
    """Split the docs into batches of about `MAX_TOKENS` tokens, counting each doc `n_copies` times."""
    runs = np.cumsum(lengths[docs] * n_copies) // MAX_TOKENS
    return np.split(docs, np.flatnonzero(np.diff(runs)) + 1)
