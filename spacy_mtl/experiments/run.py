"""One training of a comparison or benchmark, and the key that says whether it has been done already."""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from thinc.api import Config

from .corpus_sections import section_at
from .data_digest import digest, digest_data, with_digests
from .versions import find_versions

# Sections under [corpora] of what a run is judged on.
JUDGED = {"dev": "judged_dev", "test": "judged_test"}
# What does not change the result: names of files, whose digests count, and what is printed.
IRRELEVANT = {"": ("paths", "pretraining"), "training": ("logger",)}


@dataclass(frozen=True)
class Run:
    """A training and its evaluation.

    system (str): What is trained, such as "joint" or "intent alone".
    heads (tuple[str, ...]): Names of the heads in it.
    seed (int): Its seed.
    config (Config): The training config, filled and interpolated. Its sections `corpora.judged_dev` and, if there is a
        test set, `corpora.judged_test` make the readers of the docs that the trained pipeline is judged on.
    code (Path | None): Python file with functions that the config registers.
    """

    system: str
    heads: tuple[str, ...]
    seed: int
    config: Config
    code: Path | None = None
    versions: Mapping[str, str] = field(default_factory=find_versions)

    @cached_property
    def data(self) -> dict[str, str]:
        """SHA-256 of the files that the config names, by path."""
        named = {key: value for key, value in self.config.items() if key not in IRRELEVANT[""]}
        found = digest_data(named)
        return found if self.code is None else found | {str(self.code): digest(self.code)}

    @cached_property
    def key(self) -> str:
        """SHA-256 of all that determines the result: config, seed, contents of the data, versions."""
        config = deepcopy(dict(self.config))
        for section, names in IRRELEVANT.items():
            for name in names:
                (config.get(section, {}) if section else config).pop(name, None)
        code = "" if self.code is None else self.data[str(self.code)]
        content = [self.system, self.seed, with_digests(config, self.data), code, dict(self.versions)]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.system.replace(' ', '-')}-seed{self.seed}-{self.key[:12]}"

    @property
    def splits(self) -> list[str]:
        """What it is judged on: "dev", "test"."""
        return [split for split, section in JUDGED.items() if section in self.config["corpora"]]


def judged_on(config: Config, readers: Mapping[str, dict[str, Any]]) -> Config:
    """A copy of the config with the readers of the docs to judge on.

    readers (Mapping[str, dict]): Section of the reader for "dev", and for "test" if there is any.
    """
    changed = config.copy()
    changed["corpora"].update({JUDGED[split]: deepcopy(section) for split, section in readers.items()})
    return changed


def judged_section(config: Config, split: str) -> dict[str, Any]:
    """The section of the reader of a split."""
    return section_at(config, f"corpora.{JUDGED[split]}", "the run")
