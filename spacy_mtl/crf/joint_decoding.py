"""Joint decoding of a doc's class and its entities.

Some entity types hardly ever occur with some classes: there is no artist in a question about the weather. Some hardly
ever occur together: there are no two dates in one booking. A classifier and a CRF that decode separately produce such
combinations. Joint decoding chooses the class c and the tags t with the greatest

    log p(c) + score(t) - costs of the entities of t in a doc of class c.

Where the best class and the best tags cost nothing together, they are the answer. Only the other docs, few once the
model is trained, are decoded again: once for each class that can still win, by a search for better tags than those that
are known (`bounded_search.py`). Where it loses track, since too many tags are about as good, the doc is decoded by
Viterbi, with the cost of single entities subtracted from the emissions, and by beam search if pairs of its entities
have a cost.

Global inference over the outputs of several classifiers: Roth and Yih 2004, "A Linear Programming Formulation for
Global Inference in Natural Language Tasks", CoNLL.
"""

from dataclasses import replace

import numpy as np
from thinc.util import get_array_module, to_numpy

from ..layers.ragged_rows import first_rows, row_owners, row_ranges
from ..layers.softmax import log_softmax
from ..protocols.arrays import ArrayT, FloatsT, IntsT
from .beam_search import beam_search
from .bounded_search import search_tags
from .linear_chain import CRFScores
from .path_probability import path_log_scores
from .seen_types import Costs
from .tag_scheme import TagScheme
from .viterbi import make_lattice, viterbi

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
    lattice = make_lattice(scores)
    tags = lattice.tags()
    found = costs_of(tags, lattice.scores.lengths, to_numpy(logits.argmax(axis=1)), scheme, costs)
    doubtful = np.flatnonzero(found > 0)
    if not len(doubtful):
        return replace(scores, tags=tags), logits
    xp = get_array_module(logits)
    log_classes = to_numpy(log_softmax(logits)).astype("d")
    of_tags = _costs_of_tags(scheme, costs)
    emissions, logits = scores.emissions.copy(), logits.copy()
    for docs in _batches(doubtful, lattice.scores.lengths, log_classes.shape[1]):
        rows = _rows(lattice.scores.lengths, docs)
        part = replace(_take(lattice.scores, docs), tags=tags[rows])
        joint, tags[rows] = _decide(part, lattice.best(rows), log_classes[docs], found[docs], scheme, costs)
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
    starts, _, labels = scheme.spans(tags)
    docs = row_owners(lengths).take(starts)
    of_docs = classes.take(docs)
    total: FloatsT = np.bincount(docs, weights=costs.types[of_docs, labels], minlength=len(lengths)).astype("d")
    # Entity i with i + 1, then with i + 2 and so on, as long as any two are of one doc.
    for distance in range(1, len(docs)):
        first = np.flatnonzero(docs[:-distance] == docs[distance:])
        if not len(first):
            break
        of_pairs = costs.pairs[of_docs[first], labels[first], labels[first + distance]]
        total += np.bincount(docs[first], weights=of_pairs, minlength=len(lengths))
    return total


def _decide(
    scores: CRFScores, best: ArrayT, log_classes: FloatsT, found: FloatsT, scheme: TagScheme, costs: Costs
) -> tuple[FloatsT, IntsT]:
    """Decode docs once for each class that can still win.

    scores (CRFScores): Constrained potentials, with the tags that are best without costs.
    best (Floats2d): The best score up to each token and tag, from `Lattice.best`.
    log_classes (Floats2d): Log-probabilities of the classes, (n_docs, n_classes).
    found (Floats1d): Cost of these tags in the most probable class, (n_docs,).
    RETURNS: The log-score of each doc's best combination with each class, less that of its best tags, or an upper bound
        for classes that cannot win, (n_docs, n_classes); and the tags of the best combination of all, (n_tokens,).
    """
    assert scores.tags is not None
    docs, classes = np.nonzero(log_classes >= log_classes.max(axis=1, keepdims=True) - found[:, None])
    copies = _take(scores, docs)
    known = scores.tags[_rows(scores.lengths, docs)]
    limits = costs_of(known, copies.lengths, classes, scheme, costs)
    result = search_tags(scores, best, scheme, costs, docs=docs, classes=classes, limits=limits)
    regrets = np.minimum(result.regrets, limits)
    tags = np.where(np.repeat(result.regrets < limits, copies.lengths), result.tags, known)
    at_most = log_classes[docs, classes] - np.minimum(regrets, result.bounds)
    open_ = np.flatnonzero(
        (result.bounds < regrets) & (at_most > _best_by_doc(log_classes[docs, classes] - regrets, docs)[docs])
    )
    if len(open_):
        rows = _rows(copies.lengths, open_)
        tags[rows], gains = _improve(_take(copies, open_), tags[rows], classes[open_], scheme, costs)
        regrets[open_] -= gains
        at_most[open_] = log_classes[docs, classes][open_] - regrets[open_]
    values = log_classes[docs, classes] - regrets
    greatest = _best_by_doc(values, docs)
    chosen = np.flatnonzero(values == greatest[docs])
    chosen = chosen[np.unique(docs[chosen], return_index=True)[1]]
    # An upper bound for every class: its log-probability with the best tags at no cost.
    joint = log_classes.copy()
    joint[docs, classes] = at_most
    joint = np.minimum(joint, greatest[:, None] - MARGIN)
    joint[np.arange(len(joint)), classes[chosen]] = greatest
    return joint, tags[_rows(copies.lengths, chosen)]


def _improve(scores: CRFScores, tags: IntsT, classes: IntsT, scheme: TagScheme, costs: Costs) -> tuple[IntsT, FloatsT]:
    """Look for tags with a higher score after all costs, by Viterbi and, where pairs cost something, by beam search.

    tags (Ints1d): The tags to improve on, (n_tokens,).
    RETURNS: For each doc the best of all tags, (n_tokens,), and the gain in nats, at least 0, (n_docs,).
    """

    def rate(path: IntsT) -> FloatsT:
        return path_log_scores(scores, path) - costs_of(path, scores.lengths, classes, scheme, costs)

    of_tags = _costs_of_tags(scheme, costs)[np.repeat(classes, scores.lengths)]
    cheaper = replace(scores, emissions=scores.emissions - of_tags)
    others = viterbi(cheaper)
    paths = [tags, others]
    of_pairs = Costs(np.zeros_like(costs.types), costs.pairs)
    paired = np.flatnonzero(costs_of(others, scores.lengths, classes, scheme, of_pairs) > 0)
    if len(paired):
        rows = _rows(scores.lengths, paired)
        paths.append(others.copy())
        paths[-1][rows] = beam_search(_take(cheaper, paired), scheme, costs, classes[paired])
    values = np.stack([rate(path) for path in paths])
    best = np.repeat(values.argmax(axis=0), scores.lengths)
    return np.stack(paths)[best, np.arange(len(tags))], values.max(axis=0) - values[0]


def _best_by_doc(values: FloatsT, docs: IntsT) -> FloatsT:
    """Return the greatest value of each doc, (n_docs,).

    docs (Ints1d): The doc of each value, sorted; every doc has one, (n_values,).
    """
    return np.maximum.reduceat(values, np.flatnonzero(np.diff(docs, prepend=-1)))


def _costs_of_tags(scheme: TagScheme, costs: Costs) -> FloatsT:
    """Return the cost, in each class, of the entity that a tag begins, (n_classes, n_tags)."""
    result: FloatsT = np.where(scheme.begins, costs.types[:, scheme.label], 0.0)
    return result


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
