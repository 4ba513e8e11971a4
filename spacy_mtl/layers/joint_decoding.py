"""Classes of docs and tag sequences that fit them, decided together.

Some tags never go with some classes: no artist in a question about the weather. A classifier and a CRF that decode on
their own give such pairs. Here the best pair that fits wins, exactly: argmax over class c and tags t that fit it of
log p(c) + score(t). Where the best tags of all fit the best class, they are that pair, so only the other docs, few once
the model is trained, are decoded once for each class.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from thinc.util import get_array_module, to_numpy

from ..types import ArrayT
from .crf import CRFScores
from .path_probability import path_log_scores
from .softmax import log_softmax
from .viterbi import viterbi

IntsT = NDArray[np.int64]
FloatsT = NDArray[np.float64]
# of a run that decodes for several classes at once
MAX_TOKENS = 2**15


def decode_jointly(scores: CRFScores, logits: ArrayT, possible: NDArray[np.bool_]) -> tuple[CRFScores, ArrayT]:
    """Decide tags and classes.

    scores (CRFScores): Constrained potentials. logits (n_docs, n_classes): of the classes.
    possible (n_classes, n_tags): Which tags go with which class; the tag O goes with all.
    RETURNS: The scores, with the best tags in `tags`, and the logits. In docs whose best tags did not fit their best
        class, emissions of tags that don't fit the new class are minus infinity, and the logits are, up to a constant,
        the log-scores of the best pair with each class.
    """
    tags = viterbi(scores)
    classes = to_numpy(logits.argmax(axis=1))
    owners = np.repeat(np.arange(len(classes)), scores.lengths)
    doubtful = np.flatnonzero(np.bincount(owners[~possible[classes[owners], tags]], minlength=len(classes)))
    if not len(doubtful):
        return replace(scores, tags=tags), logits
    xp = get_array_module(logits)
    rows = np.flatnonzero(np.isin(owners, doubtful))
    part = _select(scores, rows, doubtful)
    paths, path_scores = _best_for_each_class(part, possible)
    joint = path_scores + to_numpy(log_softmax(logits))[doubtful]
    chosen = np.repeat(joint.argmax(axis=1), part.lengths)
    tags[rows] = paths[chosen, np.arange(len(rows))]
    emissions, logits = scores.emissions.copy(), logits.copy()
    emissions[rows] = xp.where(xp.asarray(possible[chosen]), emissions[rows], -np.inf)
    logits[doubtful] = xp.asarray(joint, dtype=logits.dtype)
    return replace(scores, emissions=emissions, tags=tags), logits


def _select(scores: CRFScores, rows: IntsT, docs: IntsT) -> CRFScores:
    """Some of the docs, in main memory."""
    near = scores.with_potentials(map(to_numpy, (scores.emissions[rows], *scores.potentials[1:])))
    return replace(near, lengths=scores.lengths[docs], kept=np.arange(len(rows)))


def _best_for_each_class(scores: CRFScores, possible: NDArray[np.bool_]) -> tuple[IntsT, FloatsT]:
    """RETURNS: the best tags of those that fit each class, (n_classes, n_tokens), and their log-potentials,
    (n_docs, n_classes).
    """
    n_tokens, n_tags = scores.emissions.shape
    n_classes, n_docs = len(possible), len(scores.lengths)
    paths = np.empty((n_classes, n_tokens), dtype=np.int64)
    totals = np.empty((n_classes, n_docs))
    size = max(1, MAX_TOKENS // n_tokens)
    for start in range(0, n_classes, size):
        run = possible[start : start + size]
        emissions = np.where(run[:, None], scores.emissions, -np.inf).reshape(-1, n_tags)
        lengths = np.tile(scores.lengths, len(run))
        copies = replace(scores, emissions=emissions, lengths=lengths, kept=np.arange(len(emissions)))
        tags = viterbi(copies)
        paths[start : start + size] = tags.reshape(len(run), n_tokens)
        totals[start : start + size] = path_log_scores(copies, tags).reshape(len(run), n_docs)
    return paths, totals.T
