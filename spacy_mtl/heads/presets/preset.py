"""A base of presets: options without an offer, a link or an augmenter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from spacy.tokens import Doc

from ...protocols.head import Head
from ...protocols.head_preset import Links, Offer


@dataclass(frozen=True)
class Preset:
    """A short name for a head that is never proposed from data, and works alone. The attributes are those of
    `HeadPreset`.
    """

    head: str
    what: str
    unit: Literal["docs", "tokens"]
    settings: Mapping[str, Any] = field(default_factory=dict)
    augmenter: Mapping[str, Any] | None = None
    note: str = ""

    def offers(self, docs: Sequence[Doc]) -> list[Offer]:
        """Offer nothing."""
        return []

    def links(self, docs: Sequence[Doc], others: Mapping[str, Head], *, pretrained: bool) -> Links:
        """Link to no other head."""
        return Links()

    def apart(self, name: str) -> Mapping[str, Any] | None:
        """Have no other place to write to."""
        return None
