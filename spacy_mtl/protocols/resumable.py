"""What the state of a training knows of parts that keep values of their own."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Resumable(Protocol):
    """A value among a node's `attrs` that holds more in training than a saved pipeline needs. The state of a training
    includes the rest.
    """

    def training_state(self) -> bytes:
        """Get what the node's `to_bytes` leaves out."""

    def resume(self, state: bytes) -> None:
        """Restore what `training_state` returned, after the node was loaded."""
