"""The sections of a training config that make its readers."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from thinc.api import Config

MULTI_CORPUS = "spacy_mtl.MultiCorpus.v1"


def reader_section(config: Config, setting: str) -> dict[str, Any]:
    """A copy of the section of the reader that a setting names.

    setting (str): "train_corpus" or "dev_corpus", under `[training]`.
    """
    return section_at(config, str(config["training"][setting]), f"training.{setting}")


def section_at(config: Config, name: str, setting: str) -> dict[str, Any]:
    """A copy of the section with this dotted name. Raises a ValueError that names the setting if it does not exist."""
    section: Any = config
    for key in name.split("."):
        section = section.get(key) if isinstance(section, Mapping) else None
    if not isinstance(section, Mapping):
        raise ValueError(f"{setting} is {name!r}, but the config has no such section")
    return deepcopy(dict(section))


def is_multi_corpus(section: Mapping[str, Any]) -> bool:
    """Whether the section makes a reader of several corpora."""
    return section.get("@readers") == MULTI_CORPUS
