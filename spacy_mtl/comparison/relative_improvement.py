"""The relative improvement of joint training over single tasks, Δm."""

from collections.abc import Sequence

import numpy as np

from .paired_test import JudgedRuns, Measured, estimate_difference
from .result import Interval


def relative_improvement(pairs: Sequence[tuple[JudgedRuns, JudgedRuns]]) -> Interval:
    """Compute Δm (Maninis et al. 2019, "Attentive single-tasking of multiple tasks"; Vandenhende et al. 2021,
    "Multi-task learning for dense prediction tasks"): the mean over the heads of (joint - alone) / alone, where the
    scores are means over seeds. All main scores are better if they are higher.

    The interval is that of the paired test, by the delta method: Δm is a weighted sum of the scores near what was
    measured. The heads of a joint run vary together, and all heads on the same docs.

    pairs (Sequence): For each head its joint runs and its runs alone. The joint runs of all heads are the same, in the
        same order.
    RETURNS (Interval): Shares of 1; without values if a score has none, or one alone is 0.
    """
    means = np.array([[runs.scores.mean() for runs in pair] for pair in pairs]).reshape(-1, 2)
    n_joint = {len(joint.scores) for joint, _ in pairs}
    usable = len(n_joint) == 1 and np.isfinite(means).all() and (means[:, 1] > 0).all()
    if not usable or not all(np.isfinite(runs.effects).all() for pair in pairs for runs in pair):
        return Interval(None, None, None)
    value = float((means[:, 0] / means[:, 1] - 1).mean())
    slots = doc_slots([joint.counts.shape[1] for joint, _ in pairs])
    n_docs = slots[-1].stop
    factors = 1 / (len(pairs) * means[:, 1])  # derivatives by the joint scores
    joints = [weigh(pair[0], factor, slot, n_docs) for pair, factor, slot in zip(pairs, factors, slots, strict=True)]
    factors = factors * means[:, 0] / means[:, 1]  # and by those alone, with the sign turned
    singles = [weigh(pair[1], factor, slot, n_docs) for pair, factor, slot in zip(pairs, factors, slots, strict=True)]
    joint = Measured(np.sum([one.scores for one in joints], axis=0), np.sum([one.effects for one in joints], axis=0))
    low, high = estimate_difference(joint, singles, equal_variance=False).interval()
    return Interval(value, value + low, value + high)


def doc_slots(sizes: Sequence[int]) -> list[slice]:
    """The place of each head's docs among all: the same for all heads if they have as many, else one after another."""
    if len(set(sizes)) == 1:
        return [slice(0, sizes[0])] * len(sizes)
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def weigh(runs: JudgedRuns, weight: float, slot: slice, n_docs: int) -> Measured:
    """The part of a head's runs in a weighted sum: scores, and effects at the place of its docs."""
    effects = np.zeros((len(runs.scores), n_docs))
    effects[:, slot] = runs.effects
    return Measured(weight * runs.scores, weight * effects)
