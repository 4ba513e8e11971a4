"""Checks of a component's heads, weighting and labels."""

from collections.abc import Mapping
from copy import copy, deepcopy
from typing import Any, cast

from ..protocols.head import Head
from ..protocols.head_confidence import Thresholded
from ..protocols.head_gold import GoldChecking
from ..protocols.weighting import MergesGradients, Weighting
from .head_views import HeadViews

# Parts of a score's key that a head's name must not hold: confection reads dots as sections, reports read slashes as
# corpora.
RESERVED = (".", "/")


def check_heads(heads: Mapping[str, Any], name: str) -> None:
    """Raise a ValueError if there are no heads, if a value is not a head, or if a name is reserved or ambiguous."""
    if not heads:
        raise ValueError(
            f"component {name!r}: it has no heads; add at least one section [components.{name}.heads.NAME] "
            "with @mtl_heads"
        )
    for key, head in heads.items():
        nested = [inner for inner, value in head.items() if isinstance(value, Head)] if isinstance(head, dict) else []
        if nested:
            raise ValueError(
                f"component {name!r}: the head name '{key}.{nested[0]}' has a '.', which separates sections of the "
                "config; rename the head, for example with '_' in its place"
            )
        if not isinstance(head, Head):
            raise ValueError(
                f"component {name!r}: {key!r} under heads is {head!r}, which is not a head; use @mtl_heads"
            )
        reserved = [sign for sign in RESERVED if sign in key]
        if reserved:
            raise ValueError(
                f"component {name!r}: the head name {key!r} has a {reserved[0]!r}, which separates sections of the "
                "config and parts of scores; rename the head, for example with '_' in its place"
            )
    check_score_keys(heads, name)


def check_score_keys(heads: Mapping[str, Head], name: str) -> None:
    """Raise a ValueError if two heads would report a score under the same key: the `macro_f` of `intent` and the `f` of
    `intent_macro` are both `intent_macro_f`.
    """
    owners: dict[str, str] = {}
    for key, head in heads.items():
        for metric in sorted({*head.standard_scores.values(), head.main_score or ""} - {""}):
            other = owners.setdefault(f"{key}_{metric}", key)
            if other != key:
                raise ValueError(
                    f"component {name!r}: heads {other!r} and {key!r} would both report the score '{key}_{metric}'; "
                    "rename one of them"
                )


def check_weighting(weighting: Any, name: str) -> Weighting:
    """Return the weighting. Raise a ValueError if it is not one, or lacks a method that it needs."""
    if not isinstance(weighting, Weighting):
        raise ValueError(
            f"component {name!r}: weighting is {weighting!r}, which is not a weighting; use @mtl_weightings"
        )
    if weighting.needs not in ("sum", "vectors", "last_layer"):
        raise ValueError(
            f"component {name!r}: the weighting {type(weighting).__name__} has needs = {weighting.needs!r}; expected "
            "'sum', 'vectors' or 'last_layer'"
        )
    if weighting.needs != "sum" and not isinstance(weighting, MergesGradients):
        raise ValueError(
            f"component {name!r}: the weighting {type(weighting).__name__} needs gradients at {weighting.needs!r}, but "
            "has no method merge"
        )
    return weighting


def check_overlap(heads: Mapping[str, Head]) -> None:
    """Raise a ValueError if two heads would write the same thing."""
    writers: dict[str, str] = {}
    for key, head in heads.items():
        for written, label in head.writes.items():
            other = writers.setdefault(written, key)
            if other != key:
                what = f"label {label!r}" if label else written
                raise ValueError(f"head {key!r}: {what} is also predicted by head {other!r}; {head.overlap_fix}")


def check_label(label: Any, head: str) -> None:
    """Raise a ValueError if a label is not a string, or is empty."""
    if not isinstance(label, str) or not label:
        raise ValueError(f"head {head!r}: {label!r} can't be a label; a label is a string of at least one character")


def with_label(head: Any, label: str) -> Head:
    """Copy the head and its network, and add a label to the copy, to try it out."""
    trial = copy(head)
    trial.model = deepcopy(head.model)
    trial.add_label(label)
    return cast(Head, trial)


def check_gold(heads: Mapping[str, Head], views: HeadViews) -> None:
    """Raise a ValueError for gold that a head can't learn from."""
    for key, head in heads.items():
        if isinstance(head, GoldChecking):
            head.check_gold(views.of(key))


def with_threshold(heads: Mapping[str, Head], threshold: float | None) -> Mapping[str, Head]:
    """Replace the threshold of the heads that have one. None leaves all heads as they are."""
    if threshold is None:
        return heads
    return {
        key: head.with_threshold(threshold) if isinstance(head, Thresholded) else head for key, head in heads.items()
    }
