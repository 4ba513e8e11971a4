"""Scores of the labels that a teacher knows, for heads that learn from one in `rehearse`.

Labels are added at the end, so the old ones come first.
"""

from ..protocols.arrays import ArrayT


def old_scores(scores: ArrayT, teacher: ArrayT) -> ArrayT:
    """Select the scores of the labels that the teacher has, in the shape of the teacher's scores."""
    corner: ArrayT = scores[tuple(slice(size) for size in teacher.shape)]
    return corner


def with_new_labels(gradient: ArrayT, scores: ArrayT) -> ArrayT:
    """Extend a gradient of `old_scores` to the shape of `scores`, with zeros for labels that the teacher lacks."""
    whole = scores * 0
    whole[tuple(slice(size) for size in gradient.shape)] = gradient
    return whole
