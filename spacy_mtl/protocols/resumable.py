"""What the state of a training knows of parts that keep something of their own."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Resumable(Protocol):
    """A value among the `attrs` of a node that knows more in a training than a saved pipeline needs. The state of a
    training holds that too.
    """

    def training_state(self) -> bytes:
        """Return what `to_bytes` of the node leaves out."""

    def resume(self, state: bytes) -> None:
        """Take back what `training_state` gave, after the node was loaded."""
