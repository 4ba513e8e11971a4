"""Heads that write token attributes, which the component writes for all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from spacy.tokens import Doc

from .arrays import AnnotationsT, ArrayT


@dataclass(frozen=True)
class TokenValues:
    """Values of token attributes for a batch.

    attrs (tuple[int, ...]): The ids of the attributes in `spacy.attrs`.
    values (Ints2d): What spaCy stores for each attribute and token of the batch, uint64, (n_attrs, n_tokens).
    mark (int | None): The attribute that is set in a doc if the doc has this annotation already, which then stays; None
        if the values replace what is there.
    """

    attrs: tuple[int, ...]
    values: ArrayT
    mark: int | None


@runtime_checkable
class WritesTokens(Protocol):
    """A head that may write nothing but token attributes."""

    def token_values(self, docs: Sequence[Doc], annotations: AnnotationsT) -> TokenValues | None:
        """Get what `set_annotations` would write if no doc had the annotation yet. None if the head writes other
        things, or if what it writes depends on what is there.
        """
