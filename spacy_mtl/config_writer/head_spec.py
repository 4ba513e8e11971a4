"""Heads as they stand on a command line: `slots:ner:condition_on=intent`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spacy.util import registry

from ..protocols.head_preset import HeadPreset
from .option_texts import check_options, read_options


@dataclass(frozen=True)
class HeadSpec:
    """A head: its name, the short name of its kind, and the options that were given.

    text (str): What stood on the command line.
    """

    name: str
    kind: str
    preset: HeadPreset
    options: dict[str, Any]
    text: str = ""


def presets() -> dict[str, HeadPreset]:
    """All presets by their short names, in alphabetical order. Those of other packages are among them."""
    found: dict[str, Any] = registry.mtl_head_presets.get_all()  # type: ignore[attr-defined]
    for name, preset in found.items():
        if not isinstance(preset, HeadPreset):
            raise ValueError(f"spacy_mtl_head_presets: {name!r} is {preset!r}, which is no HeadPreset")
    return dict(sorted(found.items()))


def read_head(text: str) -> HeadSpec:
    """Read NAME:KIND or NAME:KIND:OPTIONS.

    RAISES ValueError: There is no such kind, or its head has no such option; the message lists all.
    """
    name, _, rest = text.partition(":")
    kind, _, options = rest.partition(":")
    if not name or not kind:
        raise ValueError(f"--head {text}: expected NAME:KIND, as in intent:textcat")
    known = presets()
    if kind not in known:
        raise ValueError(f"--head {text}: there is no kind {kind!r}; choose from {', '.join(known)}")
    preset = known[kind]
    given = read_options(options, f"--head {text}")
    check_options(registry.get("mtl_heads", preset.head), given, f"--head {text}")
    return HeadSpec(name, kind, preset, given, text)


def read_heads(texts: Sequence[str]) -> list[HeadSpec]:
    """Read all heads. Raise a ValueError if two have one name."""
    heads = [read_head(text) for text in texts]
    names = [head.name for head in heads]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"--head: two heads have the name {twice[0]!r}; rename one of them")
    return heads
