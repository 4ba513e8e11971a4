"""Losses of classes, in nats, of gold that may be soft or partly missing."""

from thinc.util import get_array_module

from ..protocols.arrays import ArrayT
from .softmax import log_softmax, sigmoid, softmax, softplus


def exclusive_loss(
    gold: ArrayT, scores: ArrayT, class_weights: ArrayT, *, label_smoothing: float
) -> tuple[ArrayT, ArrayT]:
    """Compute the cross-entropy of exclusive classes. A row whose values are all zero while some are missing is of one
    of the missing classes: they share the likelihood.

    With logits 0, 0, 0 and gold [0, NaN, NaN] the loss is -log(1/3 + 1/3).

    gold (ArrayT): Values from 0 to 1, (n_docs, n_labels), NaN where missing. A row of NaN has no loss.
    scores (ArrayT): Logits, (n_docs, n_labels).
    class_weights (ArrayT): Factors of the classes' losses, (n_labels,).
    label_smoothing (float): Share of the target probability that the other classes get.
    RETURNS: the loss of each row in nats, (n_docs,), and the gradient of their sum, (n_docs, n_labels).
    """
    xp = get_array_module(scores)
    absent = xp.isnan(gold)
    values = xp.where(absent, 0.0, gold)
    total = values.sum(axis=1, keepdims=True)
    probabilities = softmax(scores)
    open_mass = xp.where(absent, probabilities, 0.0)
    shared = open_mass / xp.maximum(open_mass.sum(axis=1, keepdims=True), 1e-30)
    shares = values / xp.maximum(total, 1e-30)
    target = xp.where(total > 0, smooth(shares, label_smoothing), shared)
    log_open = -xp.log(xp.maximum(open_mass.sum(axis=1), 1e-30))
    losses = xp.where(total[:, 0] > 0, cross_entropy(target, scores), log_open)
    factor = (~absent).any(axis=1) * xp.where(total[:, 0] > 0, shares @ class_weights, 1.0)
    return losses * factor, ((probabilities - target) * factor[:, None]).astype(scores.dtype)


def multilabel_loss(gold: ArrayT, scores: ArrayT, class_weights: ArrayT) -> tuple[ArrayT, ArrayT]:
    """Compute the sum of the binary cross-entropies of independent classes, without those that are missing.

    gold (ArrayT): Values from 0 to 1, (n_docs, n_labels), NaN where missing.
    scores (ArrayT): Logits, (n_docs, n_labels).
    class_weights (ArrayT): Factors of the classes' losses, (n_labels,).
    RETURNS: the loss of each row in nats, (n_docs,), and the gradient of their sum, (n_docs, n_labels).
    """
    xp = get_array_module(scores)
    factor = xp.where(xp.isnan(gold), 0.0, class_weights)
    target = xp.where(xp.isnan(gold), 0.0, gold)
    losses = (softplus(scores) - target * scores) * factor
    return losses.sum(axis=1), ((sigmoid(scores) - target) * factor).astype(scores.dtype)


def smooth(target: ArrayT, share: float) -> ArrayT:
    """Give a share of each row's probability to the other classes."""
    n_others = target.shape[1] - 1
    if not n_others:
        return target
    return target * (1.0 - share) + (1.0 - target) * (share / n_others)


def cross_entropy(target: ArrayT, logits: ArrayT) -> ArrayT:
    """The cross-entropy of each row in nats, (n_docs,)."""
    return -(target * log_softmax(logits)).sum(axis=1)


def binary_cross_entropy(target: ArrayT, logits: ArrayT) -> ArrayT:
    """The sum of each row's binary cross-entropies in nats, (n_docs,)."""
    return (softplus(logits) - target * logits).sum(axis=1)
