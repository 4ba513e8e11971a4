"""Which heads a head cannot do without."""

from collections.abc import Mapping

from ..pipeline.run_order import depends_on, reach
from ..protocols.between_heads import TakesConditions
from ..protocols.decodes_jointly import DecodesJointly
from ..protocols.head import Head

# Settings of a head that can be emptied to cut it off from the heads that it names.
CUT_OFF = ("condition_on", "consistent_with")


def companions(heads: Mapping[str, Head], names: tuple[str, ...], *, detach: bool) -> tuple[str, ...]:
    """The heads that these are conditioned on, decoded with or depend on, directly or not; in the order of the config,
    without the heads themselves.

    detach (bool): Leave out what can be cut off: conditions, and heads that others are decoded with.
    """
    reached = reach(names, lambda key: needed_by(heads[key], detach=detach))
    return tuple(key for key in heads if key in reached and key not in names)


def needed_by(head: Head, *, detach: bool) -> set[str]:
    """The heads that this one names."""
    needed = set(depends_on(head))
    if not detach:
        needed |= named_by(head)
    return needed


def named_by(head: Head) -> set[str]:
    """The heads that this one is conditioned on or decoded with."""
    named = set(head.condition_on) if isinstance(head, TakesConditions) else set()
    if isinstance(head, DecodesJointly) and head.consistent_with is not None:
        named.add(head.consistent_with)
    return named
