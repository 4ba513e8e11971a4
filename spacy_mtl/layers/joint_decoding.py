"""The class of a doc and the types of its entities, decided together.

Some types never go with some classes: no artist in a question about the weather. Others never go together: no two dates
in one booking. A classifier and a CRF that decode on their own give such combinations. Here the best one that fits
wins: argmax over class c and tags t that fit it of log p(c) + score(t). Where the best tags of all fit the best class,
they are that combination, so only the other docs, few once the model is trained, are decoded once for each class; and
only where the best tags of a class do not go together are others searched for. Inference under constraints between
what several classifiers say: Roth and Yih 2004, "A Linear Programming Formulation for Global Inference in Natural
Language Tasks".
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from thinc.util import get_array_module, to_numpy

from ..types import ArrayT
from .beam_search import beam_search
from .crf import CRFScores
from .path_probability import path_log_scores
from .ranges import ranges
from .seen_types import Fit
from .softmax import log_softmax
from .tag_scheme import TagScheme
from .viterbi import viterbi

IntsT = NDArray[np.int64]
BoolsT = NDArray[np.bool_]
FloatsT = NDArray[np.float64]
# of docs that are decoded for several classes at once
MAX_TOKENS = 2**13


def decode_jointly(scores: CRFScores, logits: ArrayT, scheme: TagScheme, fit: Fit) -> tuple[CRFScores, ArrayT]:
    """Decide tags and classes.

    scores (CRFScores): Constrained potentials. logits (n_docs, n_classes): of the classes.
    RETURNS: The scores, with the best tags in `tags`, and the logits. In docs whose best tags did not fit their best
        class, emissions of tags that don't go with the new class are minus infinity, and the logits are, up to a
        constant, the log-scores of the best combination with each class, or a bound below the best of all.
    """
    tags = viterbi(scores)
    classes = to_numpy(logits.argmax(axis=1))
    doubtful = np.flatnonzero(~fits(tags, scores.lengths, classes, scheme, fit))
    if not len(doubtful):
        return replace(scores, tags=tags), logits
    xp = get_array_module(logits)
    log_classes = to_numpy(log_softmax(logits)).astype("d")
    possible = np.pad(fit.possible, ((0, 0), (0, 1)), constant_values=True)[:, scheme.label]
    emissions, logits = scores.emissions.copy(), logits.copy()
    for docs in _batches(doubtful, scores.lengths, log_classes.shape[1]):
        rows = _rows(scores.lengths, docs)
        near = scores.with_potentials(map(to_numpy, (scores.emissions[rows], *scores.potentials[1:])))
        part = replace(near, lengths=scores.lengths[docs])
        joint, tags[rows] = _decide(part, log_classes[docs], possible, scheme, fit)
        chosen = np.repeat(joint.argmax(axis=1), part.lengths)
        emissions[rows] = xp.where(xp.asarray(possible[chosen]), emissions[rows], -np.inf)
        logits[docs] = xp.asarray(joint - joint.max(axis=1, keepdims=True), dtype=logits.dtype)
    return replace(scores, emissions=emissions, tags=tags), logits


def fits(tags: IntsT, lengths: IntsT, classes: IntsT, scheme: TagScheme, fit: Fit) -> BoolsT:
    """Whether the entities of each doc go with its class and with each other, (n_docs,).

    tags (n_tokens,), lengths (n_docs,), classes (n_docs,).
    """
    starts, _, labels = scheme.spans(tags)
    owners = np.repeat(np.arange(len(lengths)), lengths)[starts]
    counts = np.bincount(owners * scheme.n_labels + labels, minlength=len(lengths) * scheme.n_labels)
    counts = counts.reshape(-1, scheme.n_labels)
    result: BoolsT = ~np.any((counts > 0) & ~fit.possible[classes], axis=1)
    for index in np.unique(classes):
        docs = np.flatnonzero(classes == index)
        apart = (~fit.together[index]).astype("f")
        # an entity is not beside itself
        beside = counts[docs].astype("f") @ apart - apart.diagonal()
        result[docs] &= ~((counts[docs] > 0) & (beside > 0)).any(axis=1)
    return result


def _decide(
    scores: CRFScores, log_classes: FloatsT, possible: BoolsT, scheme: TagScheme, fit: Fit
) -> tuple[FloatsT, IntsT]:
    """possible (n_classes, n_tags): which tags go with which class.
    RETURNS: the log-scores of each doc's best combination with each class, (n_docs, n_classes), and the tags of the
    best of all, (n_tokens,).
    """
    n_docs, n_classes = log_classes.shape
    classes = np.tile(np.arange(n_classes), n_docs)
    copies = _take(scores, np.repeat(np.arange(n_docs), n_classes))
    of_class = possible[np.repeat(classes, copies.lengths)]
    copies = replace(copies, emissions=np.where(of_class, copies.emissions, -np.inf))
    tags = viterbi(copies)
    joint = path_log_scores(copies, tags).reshape(log_classes.shape) + log_classes
    fitting = fits(tags, copies.lengths, classes, scheme, fit).reshape(joint.shape)
    floor = np.where(fitting, joint, -np.inf).max(axis=1, keepdims=True)
    open_ = np.flatnonzero(~fitting & (joint >= floor))
    if len(open_):
        part = _take(copies, open_)
        tags[_rows(copies.lengths, open_)] = found = beam_search(part, scheme, fit, classes[open_])
        joint.flat[open_] = path_log_scores(part, found) + log_classes.flat[open_]
    best = joint.argmax(axis=1) + np.arange(n_docs) * n_classes
    return joint, tags[_rows(copies.lengths, best)]


def _take(scores: CRFScores, docs: IntsT) -> CRFScores:
    """These docs, one after the other; a doc may come several times."""
    rows = _rows(scores.lengths, docs)
    return replace(scores, emissions=scores.emissions[rows], lengths=scores.lengths[docs])


def _rows(lengths: IntsT, docs: IntsT) -> IntsT:
    """The rows of the docs' tokens."""
    firsts = np.cumsum(lengths) - lengths
    return ranges(firsts[docs], lengths[docs])


def _batches(docs: IntsT, lengths: IntsT, n_copies: int) -> list[IntsT]:
    """The docs in runs of a bounded number of tokens."""
    runs = np.cumsum(lengths[docs] * n_copies) // MAX_TOKENS
    return np.split(docs, np.flatnonzero(np.diff(runs)) + 1)
