"""Heads without confidences."""

from typing import Any


def without_confidence(kind: type[Any]) -> type[Any]:
    """A class of heads like another, that can't say how sure they are. It is a class of its own, since `isinstance`
    remembers for each class whether it follows a Protocol.
    """
    left_out = ("confidence", "__dict__", "__weakref__", "__slots__")
    members = {key: value for part in reversed(kind.__mro__[:-1]) for key, value in vars(part).items()}
    return type(f"Silent{kind.__name__}", (), {key: value for key, value in members.items() if key not in left_out})
