"""A base of heads whose labels are kept in their network."""

from collections.abc import Sequence

from ...layers.linear import grow_output
from ...protocols.head import HeadModelT


class ModelLabels:
    """A head whose labels are in `model.attrs["labels"]`, in the order of the network's outputs, so that they are saved
    with the network. A head inherits from it to be a `HasLabels`, and adds `collect_labels` and `gold_labels`.

    name (str): The head's name.
    model (HeadModelT): The network.
    """

    name: str
    model: HeadModelT

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the network's outputs."""
        return tuple(self.model.attrs["labels"])

    def add_label(self, label: str) -> int:
        """Add a label. If the network already has its shape, it grows, and the new weights are zero.

        RETURNS (int): 1 if the label is new, else 0.
        """
        if label in self.labels:
            return 0
        self.model.attrs["labels"] = [*self.labels, label]
        self._grow(len(self.labels))
        return 1

    def put_first(self, labels: Sequence[str]) -> None:
        """Put labels that the head had back to their places, before those that it has collected since. The network
        grows by the new ones.
        """
        collected = self.labels
        self.model.attrs["labels"] = list(labels)
        for label in collected:
            self.add_label(label)

    def _grow(self, n_labels: int) -> None:
        """Grow the network, if it already has its shape: here the layer that it refers to as "output"."""
        grow_output(self.model, n_labels)
