"""`isinstance` against a Protocol where every batch asks: before Python 3.12 one check takes 20 microseconds."""

from typing import Any, TypeGuard

_KNOWN: dict[tuple[type, type], bool] = {}


def fits(part: object, protocol: type) -> TypeGuard[Any]:
    """Check whether a part has the Protocol's members. Each class is checked once, with its first instance."""
    key = (type(part), protocol)
    known = _KNOWN.get(key)
    if known is None:
        known = _KNOWN[key] = isinstance(part, protocol)
    return known
