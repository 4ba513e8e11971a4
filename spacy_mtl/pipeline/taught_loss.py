"""The loss of a head on a batch in which teachers speak beside the gold."""

from collections.abc import Sequence

import numpy as np
from spacy.training import Example

from ..gold import unannotated
from ..protocols.arrays import FloatsT, ScoresT
from ..protocols.head import Head
from ..protocols.soft_targets import LearnsFromTargets, TargetsT
from ..teaching import teaching_of


def get_loss_with_teacher(
    key: str, head: Head, examples: Sequence[Example], scores: ScoresT, *, step: int
) -> tuple[float, ScoresT | None]:
    """Compute the loss against gold and soft targets, and its gradient.

    A doc with gold alone counts with its gold, and one with a target alone with its target. A doc with both counts
    with a share of each, which teacher annealing moves to the gold.

    step (int): Number of steps before this one.
    RETURNS: (0.0, None) if the head finds neither in the batch.
    RAISES ValueError: There are targets, and the head can't learn from them.
    """
    teachings = [teaching_of(eg.reference) for eg in examples]
    targets = [None if teaching is None else teaching.targets.get(key) for teaching in teachings]
    if all(target is None for target in targets):
        return head.get_loss(examples, scores)
    if not isinstance(head, LearnsFromTargets):
        raise ValueError(
            f"head {key!r}: a {type(head).__name__} can't learn from soft targets, which its docs carry; have its "
            "teacher give labels instead (--labels hard)"
        )
    has_gold = [head.has_gold(eg) for eg in examples]
    gold_weights = np.ones(len(examples))
    for row, (teaching, target) in enumerate(zip(teachings, targets, strict=True)):
        if teaching is not None and target is not None:
            gold_weights[row] = teaching.share_at(step) if has_gold[row] else 0.0
    check_lengths(key, examples, targets)
    docs = [eg.predicted for eg in examples]
    parts = [head.get_target_loss(docs, targets, scores, 1.0 - gold_weights)]
    parts += [
        scaled(head.get_loss(only_with(examples, gold_weights, weight), scores), weight)
        for weight in np.unique(gold_weights[has_gold]).tolist()
        if weight > 0
    ]
    return total(parts)


def check_lengths(key: str, examples: Sequence[Example], targets: TargetsT) -> None:
    """Raise a ValueError if targets of tokens belong to a doc with other tokens."""
    for eg, target in zip(examples, targets, strict=True):
        if target is not None and target.kind in ("tokens", "chain") and len(target.values) != len(eg.predicted):
            raise ValueError(
                f"head {key!r}: the soft target has {len(target.values)} tokens, but the doc "
                f"{eg.predicted.text[:60]!r} has {len(eg.predicted)}; read it with the same tokens (gold_tokens)"
            )


def only_with(examples: Sequence[Example], weights: FloatsT, weight: float) -> list[Example]:
    """The batch in which only the docs of this weight have gold."""
    return [
        eg if own == weight else Example(eg.predicted, unannotated(eg.reference, eg.reference.vocab))
        for eg, own in zip(examples, weights.tolist(), strict=True)
    ]


def scaled(part: tuple[float, ScoresT | None], weight: float) -> tuple[float, ScoresT | None]:
    """A loss and its gradient, times a weight."""
    loss, gradient = part
    return (loss, gradient) if weight == 1.0 else (loss * weight, None if gradient is None else gradient * weight)


def total(parts: Sequence[tuple[float, ScoresT | None]]) -> tuple[float, ScoresT | None]:
    """The sum of losses and of the gradients that there are."""
    summed: ScoresT | None = None
    for _, gradient in parts:
        if gradient is not None:
            summed = gradient if summed is None else summed + gradient
    return sum(loss for loss, _ in parts), summed
