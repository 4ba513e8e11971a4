"""The mean over seeds, of which some may have no score."""

from collections.abc import Iterable


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are there; None if there are none."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
