"""What loggers and reports know of a component that measures how its heads share the encoder."""

from typing import Any, Protocol, runtime_checkable

from spacy.language import Language

# JSON: what `balance/readout_sums.py` describes.
ReadoutT = dict[str, Any]


@runtime_checkable
class HasReadout(Protocol):
    """A component with a read-out of the balance of its heads."""

    @property
    def readout(self) -> ReadoutT:
        """The read-out of all steps so far; empty before the first."""

    def show_readout(self, nlp: Language) -> None:
        """Show the read-out in the meta of a pipeline, under "spacy_mtl", "balance" and the component's name, where it
        is kept up to date and saved with the pipeline.
        """

    def take_readout(self) -> ReadoutT:
        """Get the read-out of the steps since the last call, and begin another one."""
