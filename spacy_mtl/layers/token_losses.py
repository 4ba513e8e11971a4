"""Losses and confidence of heads that give each token one label."""

from collections.abc import Sequence

import numpy as np
from spacy.tokens import Doc
from thinc.types import Floats2d
from thinc.util import get_array_module

from ..protocols.arrays import FloatsT, IntsT
from .old_labels import old_scores, with_new_labels
from .softmax import log_softmax, softmax


def token_loss(gold: IntsT, scores: Floats2d, *, label_smoothing: float = 0.0) -> tuple[float, Floats2d | None]:
    """Compute the cross-entropy in nats per token, with a smoothed target if asked for.

    gold (IntsT): The label index of each token, (n_tokens,), -1 where it is not annotated.
    scores (Floats2d): Logits, (n_tokens, n_labels).
    RETURNS: the loss over annotated tokens, divided by the number of all tokens, and its gradient; (0.0, None) if no
        token is annotated.
    """
    annotated = np.flatnonzero(gold >= 0)
    if not len(annotated):
        return 0.0, None
    xp = get_array_module(scores)
    n_labels, n_units = scores.shape[1], len(scores)
    rows, columns = xp.asarray(annotated), xp.asarray(gold[annotated])
    others = label_smoothing / max(n_labels - 1, 1)
    target = xp.full((len(annotated), n_labels), others, dtype=scores.dtype)
    target[xp.arange(len(annotated)), columns] = 1.0 - others * (n_labels - 1)
    loss = -float((target * log_softmax(scores[rows])).sum())
    d_scores = xp.zeros_like(scores)
    d_scores[rows] = (softmax(scores[rows]) - target) / n_units
    return loss / n_units, d_scores


def token_teacher_loss(teacher: Floats2d, scores: Floats2d) -> tuple[float, Floats2d]:
    """Compute the cross-entropy against the teacher's probabilities in nats per token, over the labels that the teacher
    has. RETURNS: the loss, and its gradient, (n_tokens, n_labels).
    """
    target, old = softmax(teacher), old_scores(scores, teacher)
    n_units = max(len(scores), 1)
    loss = -float((target * log_softmax(old)).sum()) / n_units
    return loss, with_new_labels((softmax(old) - target) / n_units, scores)


def least_certain(probabilities: FloatsT, docs: Sequence[Doc]) -> FloatsT:
    """Get the least probability of any token of each doc, (n_docs,); 1 for a doc without tokens.

    probabilities (FloatsT): Of what was decided for each token, (n_tokens,).
    """
    lengths = np.array([len(doc) for doc in docs], dtype="int64")
    least = np.ones(len(docs))
    running = np.flatnonzero(lengths)
    if len(running):
        least[running] = np.minimum.reduceat(probabilities, (np.cumsum(lengths) - lengths)[running])
    return least
