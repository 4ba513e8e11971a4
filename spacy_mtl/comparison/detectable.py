"""The smallest difference that a comparison could have shown."""

from .paired_test import Estimate

POWER = 0.8


def smallest_detectable(estimate: Estimate, level: float) -> float | None:
    """The smallest true difference that comparisons with this standard error show in 80 % of cases; None if the
    standard error is 0.

    level (float): The two-sided level that a head is tested at: that for all heads divided by their number, which is
        what Holm's correction asks of the least p value.
    """
    return estimate.noncentrality(level, POWER) * estimate.error if estimate.error > 0 else None
