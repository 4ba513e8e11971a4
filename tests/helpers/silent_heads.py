"""Heads without confidences."""

from typing import Any


def without_confidence(kind: type[Any]) -> type[Any]:
    """A class of heads like another, that can't say how sure they are. It is a class of its own, since `isinstance`
    remembers for each class whether it follows a Protocol.
    """
    left_out = ("confidence", "__dict__", "__weakref__")
    return type(f"Silent{kind.__name__}", (), {key: value for key, value in vars(kind).items() if key not in left_out})
