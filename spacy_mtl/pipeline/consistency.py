"""Heads whose annotation has to fit the class that another head gives the doc (Protocol `Consistent`)."""

from collections.abc import Iterator, Mapping

from ..models.multitask import AllScoresT
from ..types import Consistent, DocClasses, Head
from .views import Views


def check_consistency(heads: Mapping[str, Head]) -> None:
    """Raise a ValueError for a head that shall be consistent with what has no exclusive classes, or with a classifier
    that another one is to be consistent with.
    """
    taken: dict[str, str] = {}
    for key, head in heads.items():
        other = head.consistent_with if isinstance(head, Consistent) else None
        if other is None:
            continue
        if not (isinstance(classifier := heads.get(other), DocClasses) and classifier.exclusive):
            able = [name for name, able in heads.items() if isinstance(able, DocClasses) and able.exclusive]
            raise ValueError(
                f"head {key!r}: consistent_with names {other!r}, expected a doc classifier with exclusive = true; "
                f"there are {able}"
            )
        if other in taken:
            raise ValueError(
                f"head {key!r}: consistent_with names {other!r}, as that of head {taken[other]!r} does; only one can "
                "be decoded with it, so set the other to null"
            )
        taken[other] = key


def observe_gold(heads: Mapping[str, Head], views: Views) -> None:
    """Show each consistent head what its gold looks like with which class."""
    for key, head, other, classifier in _pairs(heads):
        head.observe(views.of(key), classifier.gold_classes(views.of(other)))


def reconcile(heads: Mapping[str, Head], scores: AllScoresT) -> AllScoresT:
    """The scores of all heads, those of consistent heads and of their classifiers decided together."""
    decided = dict(scores)
    for key, head, other, _ in _pairs(heads):
        if key in scores and other in scores:
            decided[key], decided[other] = head.reconcile(scores[key], heads[other].labels, scores[other])
    return decided


def _pairs(heads: Mapping[str, Head]) -> Iterator[tuple[str, Consistent, str, DocClasses]]:
    for key, head in heads.items():
        if isinstance(head, Consistent) and head.consistent_with is not None:
            classifier = heads[head.consistent_with]
            assert isinstance(classifier, DocClasses)
            yield key, head, head.consistent_with, classifier
