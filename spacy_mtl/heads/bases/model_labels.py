"""A base of heads whose labels are kept in their network."""

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

    def _grow(self, n_labels: int) -> None:
        """Grow the network, if it already has its shape: here the layer that it refers to as "output"."""
        grow_output(self.model, n_labels)
