"""The callback that takes an evaluation as the best one only if no head has lost by it."""

from collections.abc import Mapping
from typing import Any

from spacy.language import Language

from .head_patience import BeforeUpdateT
from .trained_heads import select_by

KEY = "multitask_pareto"


def make_select_pareto_v1(tolerance: float = 0.0) -> BeforeUpdateT:
    """Build the callback that lets `[training.score_weights]` select the best model without a loss for any head, for
    `[training.before_update]`. It adds the score `multitask_pareto`, over the heads' main scores s[k]:

        excess           = max over k of best[k] - s[k] - tolerance
        multitask_pareto = mean of s                           if excess <= 0
                         = min(mean of s, taken) - excess      otherwise

    where `taken` is the mean of the evaluation that was taken last, and best[k] is the highest score of head k in all
    that were taken. The first evaluation is taken, and then each one with excess <= 0 whose mean is at least `taken`.
    So the highest `multitask_pareto` is always that of the evaluation that was taken last. With a tolerance of 0 each
    evaluation that is taken dominates the ones before it (Pareto); since a dev score also moves by chance, a tolerance
    of about its standard error keeps the training from being stuck with an early lucky one. Differences to the best
    rather than to the last score keep small losses from adding up.

    Give `multitask_pareto` a weight, and `multitask_score` the weight 0.

    tolerance (float): How much a head's main score may be below its best, at least 0, such as 0.01.
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"SelectPareto: tolerance is {tolerance}, expected a difference of scores, from 0 to below 1")

    def before_update(nlp: Language, info: dict[str, Any]) -> None:
        if info["step"] == 0:
            select_by(nlp, KEY, SelectPareto(tolerance))

    return before_update


class SelectPareto:
    """tolerance (float): How much a head may be below its best."""

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance

    def __call__(self, scores: Mapping[str, float], memory: dict[str, Any]) -> float | None:
        """The formula above.

        memory (dict[str, Any]): "taken" and "best"; empty before the first evaluation.
        """
        if not scores:
            return None
        mean = sum(scores.values()) / len(scores)
        best = memory.setdefault("best", dict(scores))
        taken = memory.setdefault("taken", mean)
        excess = max(best.get(key, score) - score for key, score in scores.items()) - self.tolerance
        if excess > 0:
            return min(mean, taken) - excess
        if mean >= taken:
            memory["taken"] = mean
            memory["best"] = best | {key: max(score, best.get(key, score)) for key, score in scores.items()}
        return mean
