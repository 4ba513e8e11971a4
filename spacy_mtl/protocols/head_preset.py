"""Heads by short names, for configs that are written from a command line or from what data carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from spacy.tokens import Doc

from .head import Head


@dataclass(frozen=True)
class Offer:
    """A head that finds gold in some docs.

    name (str): A name for it, such as "genre".
    why (str): What the docs hold, as a clause: "each doc has exactly one of 5 classes".
    settings (Mapping[str, Any]): Options of the head, beside those of its preset.
    """

    name: str
    why: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Links:
    """How a head works with other heads.

    settings (Mapping[str, Any]): Options that name them.
    why (str): The reason, as a clause; empty if there are none.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""


@runtime_checkable
class HeadPreset(Protocol):
    """A short name for a registered head with some of its options. The name is that of the entry point, in the group
    `spacy_mtl_head_presets`.

    head (str): The head in the registry `mtl_heads`.
    settings (Mapping[str, Any]): Options that differ from the defaults.
    what (str): What it predicts, as in "entities".
    note (str): Advice on its options for the comment in the config; may be empty.
    unit (str): Whether its loss is computed per doc or per token. Losses of both kinds need different weights.
    augmenter (Mapping[str, Any] | None): Section of an augmenter that makes the head more accurate and the training
        longer, if there is one.
    """

    @property
    def head(self) -> str:
        """The head in the registry."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Options that differ from the defaults."""

    @property
    def what(self) -> str:
        """What it predicts."""

    @property
    def note(self) -> str:
        """Advice on its options."""

    @property
    def unit(self) -> Literal["docs", "tokens"]:
        """Whether its loss is computed per doc or per token."""

    @property
    def augmenter(self) -> Mapping[str, Any] | None:
        """Section of an augmenter."""

    def offers(self, docs: Sequence[Doc]) -> list[Offer]:
        """List the heads of this kind that find gold in the docs: none, one, or several, such as one for each group of
        classes. What a head of another kind learns better is left to that head's preset.
        """

    def links(self, docs: Sequence[Doc], others: Mapping[str, Head], *, pretrained: bool) -> Links:
        """Find out whether the head should see, or work on, what other heads predict.

        docs (Sequence[Doc]): Docs with the head's gold.
        others (Mapping[str, Head]): The other heads that learn from these docs, by name, with their labels.
        pretrained (bool): Whether the encoder is a pretrained transformer.
        """

    def apart(self, name: str) -> Mapping[str, Any] | None:
        """Get options by which a second head of this kind writes elsewhere, under a name of its own; None if it can't.
        Used where two corpora have different labels, so that one head would learn that the other's do not occur.
        """
