"""Heads whose annotation has to fit the class that another head gives the doc (Protocol `Consistent`)."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..models.multitask import AllScoresT
from ..types import Consistent, DocClasses, Head
from .views import Views


def find_consistent(heads: Mapping[str, Head]) -> dict[str, str]:
    """Each consistent head with its classifier. Raises a ValueError if that has no exclusive classes, or if two heads
    name the same.
    """
    pairs: dict[str, str] = {}
    for key, head in heads.items():
        other = head.consistent_with if isinstance(head, Consistent) else None
        if other is None:
            continue
        classifiers = [name for name, head in heads.items() if isinstance(head, DocClasses) and head.exclusive]
        if other not in classifiers:
            raise ValueError(
                f"head {key!r}: consistent_with names {other!r}, expected a doc classifier with exclusive = true; "
                f"there are {classifiers}"
            )
        rival = next((name for name in pairs if pairs[name] == other), None)
        if rival is not None:
            raise ValueError(
                f"head {key!r}: consistent_with names {other!r}, as that of head {rival!r} does; only one can be "
                "decoded with it, so set the other to null"
            )
        pairs[key] = other
    return pairs


def observe_gold(heads: Mapping[str, Any], pairs: Mapping[str, str], views: Views) -> None:
    """Show each consistent head what its gold looks like with which class."""
    for key, other in pairs.items():
        heads[key].observe(views.of(key), heads[other].gold_classes(views.of(other)))


def count_impossible(heads: Mapping[str, Any], pairs: Mapping[str, str], views: Views) -> Counter[str]:
    """Docs, by consistent head, whose gold it can't give since it fits their class in no doc that was observed."""
    counts: Counter[str] = Counter()
    for key, other in pairs.items():
        classes = heads[other].gold_classes(views.of(other))
        gold = zip(views.of(key), classes, strict=True)
        counts[key] = sum(name is not None and not heads[key].can_give(eg, name) for eg, name in gold)
    return counts


def reconcile(heads: Mapping[str, Any], pairs: Mapping[str, str], scores: AllScoresT) -> AllScoresT:
    """The scores of all heads, those of consistent heads and of their classifiers decided together."""
    decided = dict(scores)
    for key, other in pairs.items():
        if key in scores and other in scores:
            decided[key], decided[other] = heads[key].reconcile(scores[key], heads[other].labels, scores[other])
    return decided
