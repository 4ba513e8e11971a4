"""Losses against a teacher's soft targets, whose labels are matched by name. Distributions of all docs as arrays."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from spacy.tokens import Doc
from thinc.util import get_array_module, to_numpy

from ..protocols.arrays import ArrayT, BoolsT, FloatsT, IntsT
from ..protocols.soft_targets import KindT, SoftTarget, TargetsT
from .ragged_rows import first_rows, row_owners, row_ranges
from .softmax import log_softmax, sigmoid, softmax, softplus


@lru_cache(maxsize=64)
def match_columns(theirs: tuple[str, ...], own: tuple[str, ...], name: str) -> IntsT:
    """Find the head's output for each label of a teacher, (n_labels of the teacher,).

    RAISES ValueError: The head lacks a label.
    """
    index = {label: column for column, label in enumerate(own)}
    missing = [label for label in theirs if label not in index]
    if missing:
        raise ValueError(misfit(name, theirs, own))
    return np.array([index[label] for label in theirs], dtype="int64")


def misfit(name: str, theirs: Sequence[str], own: Sequence[str]) -> str:
    """Say which labels of a teacher do not fit a head."""
    missing = [label for label in theirs if label not in set(own)]
    return (
        f"head {name!r}: its teacher's labels {missing} are none of the head's. The teacher has {list(theirs)}, the "
        f"head {list(own)}; add the labels to the head, or take another teacher"
    )


def class_targets(keys: Sequence[str], logits: ArrayT, *, exclusive: bool, temperature: float) -> list[SoftTarget]:
    """Make targets of classes from logits, (n_docs, n_labels)."""
    kind: KindT = "exclusive" if exclusive else "independent"
    labels, columns = tuple(keys), np.arange(len(keys))[None]
    rows = to_numpy(logits).astype("float32")
    return [SoftTarget(kind, labels, temperature, columns, row[None]) for row in rows]


def token_targets(
    docs: Sequence[Doc], labels: Sequence[str], probabilities: ArrayT, *, temperature: float, top: int
) -> list[SoftTarget]:
    """Make targets of tokens from the probabilities of all tokens end to end, (n_tokens, n_labels)."""
    columns, values = likeliest(to_numpy(probabilities), top)
    ends = np.cumsum([len(doc) for doc in docs])
    names = tuple(labels)
    return [
        SoftTarget("tokens", names, temperature, columns[end - len(doc) : end], values[end - len(doc) : end])
        for doc, end in zip(docs, ends.tolist(), strict=True)
    ]


def likeliest(probabilities: ArrayT, top: int) -> tuple[IntsT, ArrayT]:
    """Get the likeliest labels of each row, and their probabilities, which sum to 1 again: (n_rows, n_kept) each."""
    n_kept = min(top, probabilities.shape[1])
    columns = np.argpartition(-probabilities, n_kept - 1, axis=1)[:, :n_kept].astype("int64")
    values = np.take_along_axis(probabilities, columns, axis=1)
    return columns, (values / np.maximum(values.sum(axis=1, keepdims=True), 1e-30)).astype("float32")


def class_target_loss(
    targets: TargetsT, logits: ArrayT, weights: FloatsT, *, keys: tuple[str, ...], exclusive: bool, name: str
) -> tuple[float, ArrayT | None]:
    """Compute the cross-entropy against a teacher's classes, in nats per doc.

    logits (Floats2d): The head's, (n_docs, n_labels).
    RETURNS: the loss, and its gradient, (n_docs, n_labels); (0.0, None) without targets.
    """
    rows, taught = taught_docs(targets, weights)
    if not len(rows):
        return 0.0, None
    values, known = spread(taught, keys, name)
    xp = get_array_module(logits)
    scale = np.array([target.temperature for target in taught])[:, None]
    parts = (xp.asarray(part) for part in (values / scale, known, scale, weights[rows][:, None]))
    theirs, known, scale, factor = parts
    places = xp.asarray(rows)
    mine = logits[places].astype("d") / scale
    if exclusive:
        losses, gradient = exclusive_losses(theirs, mine, known)
    else:
        target = sigmoid(theirs)
        losses = ((softplus(mine) - target * mine) * known).sum(axis=1)
        gradient = (sigmoid(mine) - target) * known
    d_logits = xp.zeros_like(logits)
    d_logits[places] = gradient * scale * factor / len(logits)
    return float((losses * (scale**2 * factor)[:, 0]).sum()) / len(logits), d_logits


def token_target_loss(
    docs: Sequence[Doc], targets: TargetsT, scores: ArrayT, weights: FloatsT, *, labels: tuple[str, ...], name: str
) -> tuple[float, ArrayT | None]:
    """Compute the cross-entropy against a teacher's labels of tokens, in nats per token.

    scores (Floats2d): The head's logits of all tokens, (n_tokens, n_labels).
    RETURNS: the loss, and its gradient, (n_tokens, n_labels); (0.0, None) without targets.
    """
    rows, taught = taught_docs(targets, weights)
    if not len(rows):
        return 0.0, None
    lengths = np.array([len(doc) for doc in docs])
    starts = first_rows(lengths)
    values, known = spread(taught, labels, name)
    tokens = row_ranges(starts[rows], lengths[rows])
    owners = row_owners(lengths[rows])
    totals = values.sum(axis=1, keepdims=True)
    xp = get_array_module(scores)
    scale = xp.asarray(np.array([target.temperature for target in taught])[owners][:, None])
    factor = xp.asarray(weights[rows][owners][:, None] * (totals > 0))
    target, known = xp.asarray(values / np.maximum(totals, 1e-30)), xp.asarray(known)
    places = xp.asarray(tokens)
    mine = xp.where(known, scores[places].astype("d") / scale, -xp.inf)
    losses = -xp.where(known, target * xp.where(known, log_softmax(mine), 0.0), 0.0).sum(axis=1)
    d_scores = xp.zeros_like(scores)
    d_scores[places] = (softmax(mine) - target) * scale * factor / len(scores)
    return float((losses * (scale**2 * factor)[:, 0]).sum()) / len(scores), d_scores


def exclusive_losses(theirs: ArrayT, mine: ArrayT, known: ArrayT) -> tuple[ArrayT, ArrayT]:
    """Compute the cross-entropy of each row over the labels that the teacher knows, and its gradient."""
    xp = get_array_module(mine)
    theirs, mine = (xp.where(known, part, -xp.inf) for part in (theirs, mine))
    target = softmax(theirs)
    losses = -xp.where(known, target * xp.where(known, log_softmax(mine), 0.0), 0.0).sum(axis=1)
    return losses, softmax(mine) - target


def taught_docs(targets: TargetsT, weights: FloatsT) -> tuple[IntsT, list[SoftTarget]]:
    """Get the docs that have a target and a weight: their rows in the batch, and the targets."""
    rows = [row for row, target in enumerate(targets) if target is not None and weights[row] > 0]
    return np.array(rows, dtype="int64"), [target for row in rows if (target := targets[row]) is not None]


def spread(targets: Sequence[SoftTarget], own: tuple[str, ...], name: str) -> tuple[FloatsT, BoolsT]:
    """Write the rows of all targets over the head's own outputs.

    RETURNS: the values, (n_rows, n_own), 0 where a target has none, and the outputs that its teacher knows.
    """
    lengths = np.array([len(target.values) for target in targets])
    starts = first_rows(lengths)
    shape = int(lengths.sum()), len(own)
    values, known = np.zeros(shape), np.zeros(shape, dtype=bool)
    groups: dict[tuple[tuple[str, ...], int], list[int]] = defaultdict(list)
    for place, target in enumerate(targets):
        groups[target.labels, target.values.shape[1]].append(place)
    for (labels, _), places in groups.items():
        columns = match_columns(labels, own, name)
        rows = row_ranges(starts[places], lengths[places])[:, None]
        known[rows, columns] = True
        own_columns = columns[np.concatenate([targets[place].columns for place in places])]
        values[rows, own_columns] = np.concatenate([targets[place].values for place in places])
    return values, known
