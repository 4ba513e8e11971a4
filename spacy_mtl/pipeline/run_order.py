"""The order in which heads run, and the heads that a head needs."""

from collections.abc import Callable, Iterable, Mapping

from ..network.run_heads import conditions_of
from ..protocols.between_heads import ConnectsToHeads, GivesCondition, Prepares, RevisesAnnotation
from ..protocols.fits import fits
from ..protocols.head import Head


def run_order(heads: Mapping[str, Head], pairs: Mapping[str, str]) -> list[str]:
    """Order the heads: each after those that it is conditioned on or depends on, otherwise alphabetically.

    pairs (Mapping[str, str]): Heads that are decoded jointly, each with its classifier.
    RAISES ValueError: A name is unknown, a head can't give the condition, or heads need each other in a circle.
    """
    check_names(heads)
    needs = {key: needs_of(heads, pairs, key) for key in heads}
    order: list[str] = []
    waiting = sorted(heads)
    while waiting:
        ready = [key for key in waiting if needs[key] <= set(order)]
        if not ready:
            raise ValueError(
                f"heads {waiting}: condition_on and depends_on go round in a circle; take one of these heads out of "
                "another's condition_on or depends_on"
            )
        order.extend(ready)
        waiting = [key for key in waiting if key not in ready]
    return order


def check_names(heads: Mapping[str, Head]) -> None:
    """Raise a ValueError if a head names another one that does not exist or has nothing to give."""
    for key, head in heads.items():
        for option, names in (("condition_on", conditions_of(head)), ("depends_on", depends_on(head))):
            unknown = [other for other in names if other not in heads]
            if unknown:
                raise ValueError(f"head {key!r}: {option} names {unknown[0]!r}, but the heads are {list(heads)}")
            if key in names:
                raise ValueError(f"head {key!r}: {option} names the head itself; name another head, or leave it out")
        for other in conditions_of(head):
            if not isinstance(heads[other], GivesCondition):
                raise ValueError(
                    f"head {key!r}: condition_on names {other!r}, but a {type(heads[other]).__name__} has no "
                    "distribution that other heads may see; take it out of condition_on"
                )


def connect_heads(heads: Mapping[str, Head]) -> None:
    """Show all heads to those that ask others what their annotation means.

    RAISES ValueError: A head can't give what another one asks, or two would decide about one head's annotation.
    """
    for head in heads.values():
        if isinstance(head, ConnectsToHeads):
            head.connect(heads)
    revisers: dict[str, str] = {}
    for key, head in heads.items():
        if isinstance(head, RevisesAnnotation) and head.revises:
            rival = revisers.setdefault(head.revises, key)
            if rival != key:
                raise ValueError(
                    f"head {key!r}: it would decide about the annotation of {head.revises!r} together with its own, as "
                    f"head {rival!r} does; only one can, so set joint = false in the other"
                )


def needs_of(heads: Mapping[str, Head], pairs: Mapping[str, str], key: str) -> set[str]:
    """Get the heads that must run before this one. Jointly decoded heads are needed together."""
    needed = set(depends_on(heads[key]))
    needed |= {other for pair in pairs.items() if needed & set(pair) for other in pair}
    return (needed | set(conditions_of(heads[key]))) - {key}


def needed_heads(heads: Mapping[str, Head], pairs: Mapping[str, str], names: Iterable[str]) -> set[str]:
    """Get these heads, all heads that must run before them, and those that they are decoded jointly with."""

    def needs(key: str) -> Iterable[str]:
        together = {other for pair in pairs.items() if key in pair for other in pair}
        return needs_of(heads, pairs, key) | together

    return reach(names, needs)


def seen_by(heads: Mapping[str, Head], pairs: Mapping[str, str], name: str) -> set[str]:
    """Get this head and all heads whose scores or decisions change with it."""
    return {key for key in heads if name in needed_heads(heads, pairs, [key])}


def trained_heads(heads: Mapping[str, Head], names: Iterable[str]) -> set[str]:
    """Get these heads and all heads that they are conditioned on, directly or not: their losses reach all of these."""
    return reach(names, lambda key: conditions_of(heads[key]))


def reach(names: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """Get the names, and all names that follow from them, directly or not."""
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting.extend(following(key))
    return reached


def depends_on(head: Head) -> tuple[str, ...]:
    """Get the heads whose annotation this one works on."""
    names: tuple[str, ...] = head.depends_on if fits(head, Prepares) else ()
    return names
