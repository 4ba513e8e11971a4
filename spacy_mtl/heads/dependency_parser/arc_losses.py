"""Losses of arcs and labels in nats, against gold trees or against another network's scores."""

import numpy as np
from thinc.util import get_array_module, to_numpy

from ...layers.old_labels import old_scores, with_new_labels
from ...layers.softmax import log_softmax, softmax
from ...protocols.arrays import ArrayT, IntsT
from .arc_scores import ArcScores, score_arcs, score_labels
from .sentence_pieces import Bucket, Pieces, buckets
from .spanning_tree import ROOT


def tree_loss(scores: ArcScores, pieces: Pieces, heads: IntsT, labels: IntsT) -> tuple[float, ArcScores]:
    """Sum the cross-entropies of each word's head, and of its label given the gold head.

    pieces (Pieces): The pieces in which a word may have its head. A word whose gold head is elsewhere has no loss.
    heads (IntsT): The gold head of each token, (n_tokens,); its own at a root.
    labels (IntsT): The index of its gold label, (n_tokens,); -1 where the gold is missing.
    RETURNS: the loss, and its gradient.
    """
    gradient = scores.zeros()
    loss = 0.0
    learned = []
    for bucket in buckets(pieces):
        gold = gold_columns(bucket, heads, labels)
        rows, words = np.nonzero(gold >= 0)
        if not len(rows):
            continue
        arcs, backprop = score_arcs(scores, bucket)
        xp = get_array_module(arcs)
        own, columns = arcs[rows, words], xp.asarray(gold[rows, words])
        places = xp.arange(len(own))
        loss -= float(log_softmax(own)[places, columns].sum(dtype="d"))
        d_own = softmax(own)
        d_own[places, columns] -= 1.0
        d_arcs = xp.zeros_like(arcs)
        d_arcs[rows, words] = d_own
        backprop(d_arcs, gradient)
        learned.append(bucket.tokens[rows, words])
    tokens = np.concatenate(learned) if learned else np.zeros(0, dtype="int64")
    at_root = heads[tokens] == tokens
    logits, backprop = score_labels(scores, tokens, np.where(at_root, -1, heads[tokens]))
    xp = get_array_module(logits)
    places, columns = xp.arange(len(tokens)), xp.asarray(labels[tokens])
    loss -= float(log_softmax(logits)[places, columns].sum(dtype="d"))
    d_logits = softmax(logits)
    d_logits[places, columns] -= 1.0
    backprop(d_logits, gradient)
    return loss, gradient


def teacher_loss(scores: ArcScores, teacher: ArcScores, pieces: Pieces) -> tuple[float, ArcScores]:
    """Sum the cross-entropies of each word's head against the teacher's distribution, and of its label against the
    teacher's at the head that the teacher finds best. Labels that the teacher lacks enter neither.
    """
    old = scores.with_potentials(map(old_scores, scores.potentials, teacher.potentials))
    gradient = old.zeros()
    loss = 0.0
    heads = np.full(len(scores.heads), -1)
    for bucket in buckets(pieces):
        arcs, backprop = score_arcs(old, bucket)
        theirs, _ = score_arcs(teacher, bucket)
        xp = get_array_module(arcs)
        inside = xp.asarray(bucket.inside)
        loss_of_bucket, d_inside = _cross_entropy(theirs[inside], arcs[inside])
        loss += loss_of_bucket
        d_arcs = xp.zeros_like(arcs)
        d_arcs[inside] = d_inside
        backprop(d_arcs, gradient)
        columns = to_numpy(theirs.argmax(axis=2))
        best = np.take_along_axis(bucket.tokens, (columns - 1).clip(min=0), axis=1)
        heads[bucket.tokens[bucket.inside]] = np.where(columns == ROOT, -1, best)[bucket.inside]
    logits, backprop = score_labels(old, pieces.tokens, heads[pieces.tokens])
    theirs, _ = score_labels(teacher, pieces.tokens, heads[pieces.tokens])
    loss_of_labels, d_logits = _cross_entropy(theirs, logits)
    backprop(d_logits, gradient)
    whole = scores.with_potentials(map(with_new_labels, gradient.potentials, scores.potentials))
    return loss + loss_of_labels, whole


def _cross_entropy(teacher: ArrayT, scores: ArrayT) -> tuple[float, ArrayT]:
    """Cross-entropy against softmax of the teacher's scores, and its gradient, (n, n_choices). Minus infinity in both
    stands for what is no choice.
    """
    xp = get_array_module(scores)
    target = softmax(teacher)
    logs = xp.where(xp.isfinite(scores), log_softmax(scores), 0.0)
    return -float((target * logs).sum(dtype="d")), softmax(scores) - target


def gold_columns(bucket: Bucket, heads: IntsT, labels: IntsT) -> IntsT:
    """The column of the gold head of each word, (n_pieces, n_words); -1 where it is missing or in another piece."""
    inside = bucket.inside
    known = inside & (labels[bucket.tokens] >= 0)
    gold = heads[bucket.tokens]
    columns = np.full(len(heads), -1)
    piece = np.full(len(heads), -1)
    places, rows = np.arange(bucket.tokens.shape[1]), np.arange(len(bucket.tokens))
    columns[bucket.tokens[inside]] = np.broadcast_to(places + 1, inside.shape)[inside]
    piece[bucket.tokens[inside]] = np.broadcast_to(rows[:, None], inside.shape)[inside]
    found = np.where(gold == bucket.tokens, ROOT, columns[gold])
    return np.where(known & (piece[gold] == rows[:, None]), found, -1)
