"""Scores for the labels that a head had before it got more: labels are added at the end, so these come first."""

from ..protocols.arrays import ArrayT


def old_scores(scores: ArrayT, teacher: ArrayT) -> ArrayT:
    """The scores for the labels that the teacher has, in the teacher's shape."""
    corner: ArrayT = scores[tuple(slice(size) for size in teacher.shape)]
    return corner


def with_new_labels(gradient: ArrayT, scores: ArrayT) -> ArrayT:
    """The gradient of `old_scores` as one of the scores: zero for labels that the teacher lacks."""
    whole = scores * 0
    whole[tuple(slice(size) for size in gradient.shape)] = gradient
    return whole
