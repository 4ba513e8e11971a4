"""Heads that are decoded together with the class that another head gives the doc (Protocol `DecodesJointly`)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..network.run_heads import AllScoresT
from ..protocols.arrays import ScoresT
from ..protocols.decodes_jointly import DecodesJointly, DocClasses
from ..protocols.head import Head
from .head_views import HeadViews


def find_consistent(heads: Mapping[str, Head]) -> dict[str, str]:
    """Map each jointly decoded head to its classifier. Raise a ValueError if the classifier's classes are not
    exclusive, or if two heads name the same classifier.
    """
    pairs: dict[str, str] = {}
    for key, head in heads.items():
        other = head.consistent_with if isinstance(head, DecodesJointly) else None
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


def update_constraints(heads: Mapping[str, Any], pairs: Mapping[str, str], views: HeadViews) -> None:
    """Pass each jointly decoded head its gold together with the gold classes."""
    for key, other in pairs.items():
        heads[key].update_constraints(views.of(key), heads[other].gold_classes(views.of(other)))


@dataclass
class GoldCosts:
    """The costs that joint decoding gives to gold: how far gold is from what the head saw in training.

    costs (list[float]): In nats, for each doc that has gold for the head and for its classifier.
    """

    costs: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        paid = [cost for cost in self.costs if cost > 0]
        if not paid:
            return f"costs nothing in all {len(self.costs)} docs"
        mean = sum(paid) / len(paid)
        return f"costs {mean:.1f} nats on average, {max(paid):.1f} at most, in {len(paid)} of {len(self.costs)} docs"


def find_gold_costs(heads: Mapping[str, Any], pairs: Mapping[str, str], views: HeadViews) -> dict[str, GoldCosts]:
    """Compute the costs of each jointly decoded head's gold, given the gold classes."""
    found: dict[str, GoldCosts] = {}
    for key, other in pairs.items():
        classes = heads[other].gold_classes(views.of(other))
        found[key] = GoldCosts(heads[key].gold_costs(views.of(key), classes, heads[other].labels))
    return found


def describe_gold_costs(heads: Mapping[str, Any], pairs: Mapping[str, str], views: HeadViews) -> Iterator[str]:
    """Describe what gold costs for each jointly decoded head, if anything, and how often training data is as new."""
    for key, found in find_gold_costs(heads, pairs, views).items():
        if any(found.costs):
            yield (
                f"head {key!r}, consistent_with = {pairs[key]!r}: gold of the docs to evaluate {found}; in training, "
                f"{100 * heads[key].novelty():.1f} % of the sets of entity types that a class comes with would cost "
                "something if they were not there. Compare the scores with those of consistent_with = null"
            )


def decide(heads: Mapping[str, Any], pairs: Mapping[str, str], name: str, scores: Mapping[str, ScoresT]) -> AllScoresT:
    """Compute the scores that a head decodes, and those of the head that it is decoded jointly with, if any."""
    for key, other in pairs.items():
        if name in (key, other) and key in scores and other in scores:
            joint = heads[key].decode_jointly(scores[key], heads[other].labels, scores[other])
            return {key: joint[0], other: joint[1]}
    return {name: scores[name]}
