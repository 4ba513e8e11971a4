"""The keys of heads where several components have some: a head's name, or "component/head" where it is ambiguous."""

from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def unambiguous(by_component: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """Flatten what is known of each component's heads.

    RETURNS: By head name; by "component/head" for the names that several components have.
    """
    counts = Counter(head for heads in by_component.values() for head in heads)
    return {
        head if counts[head] == 1 else f"{component}/{head}": value
        for component, heads in by_component.items()
        for head, value in heads.items()
    }
