"""What layers keep beside their weights, when several networks become one."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Merges(Protocol):
    """An attribute of a layer that records what training has shown."""

    def merged(self, others: Sequence[Any]) -> Any:
        """Combine what several networks have recorded, in a new object.

        others (Sequence): Objects of the same class; the one that is asked need not be among them.
        """
