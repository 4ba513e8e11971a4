"""Heads that check or measure their gold before they learn from it, or lay claim to parts of it."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from spacy.training import Example


@runtime_checkable
class GoldChecking(Protocol):
    """A head that refuses settings or gold that it can't learn from before the training starts."""

    def check_gold(self, examples: Sequence[Example]) -> None:
        """Raise a ValueError for the first mistake. Called at initialisation, once the labels are known."""


@runtime_checkable
class FindsMistakes(Protocol):
    """A head that can tell which gold docs training would refuse, one by one, for tools that list them all."""

    def find_mistake(self, example: Example) -> str | None:
        """The error message that training would stop with; None if it can learn from the doc's gold."""


@runtime_checkable
class FitsGold(Protocol):
    """A head that measures its gold before the training starts, such as the mean of a number."""

    def fit_gold(self, examples: Sequence[Example]) -> None:
        """Measure the gold. Called at initialisation, once the labels are known and the gold is checked."""


@runtime_checkable
class ClaimsCats(Protocol):
    """A head that reads keys of `doc.cats` that are no classes, such as numbers."""

    def claims_cat(self, key: str) -> bool:
        """Check whether the key is this head's own."""
