"""Attention weights, where a head pools by attention. They say where a head looks, not what it makes of it."""

from ..protocols.cannot_explain import CannotExplain
from .target_function import Attribution, TargetFunction


def attention(function: TargetFunction) -> Attribution:
    """Get the share of each token in a head's attention.

    RAISES CannotExplain: The head does not pool by attention.
    """
    weights = function.network.attention(function.head, function.target)
    if weights is None:
        raise CannotExplain(
            f"head {function.head!r}: it does not pool by attention, so it has no weights to show; use another method, "
            'or train it with "attention" in pooling if it has that option'
        )
    return Attribution(weights, function.value_of_tokvecs(function.network.tokvecs))
