"""What goes into a config: heads, corpora, and the numbers of the training, each with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spacy.util import registry
from thinc.api import Config

from ..protocols.head import Head
from ..protocols.head_preset import HeadPreset


@dataclass
class HeadPlan:
    """A head.

    kind (str): The short name of its preset.
    options (dict[str, Any]): Options beside those of the preset.
    weight (float): Factor of its loss.
    why (list[str]): What speaks for it, and for its options, as clauses.
    n_train, n_dev (int | None): Docs of train and dev with gold; None if no data was looked at.
    n_labels (int | None): Number of labels in train.
    """

    name: str
    kind: str
    preset: HeadPreset
    options: dict[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    why: list[str] = field(default_factory=list)
    n_train: int | None = None
    n_dev: int | None = None
    n_labels: int | None = None

    @property
    def section(self) -> dict[str, Any]:
        """The section of the config."""
        return {"@mtl_heads": self.preset.head, **self.preset.settings, **self.options}

    @property
    def is_scored(self) -> bool:
        """Whether dev has gold for it, as far as is known."""
        return self.n_dev != 0

    def make(self) -> Head:
        """Build the head, to ask it what it finds. Settings of the training that it refers to get any value."""
        whole = Config({"training": {"max_steps": 1}, "head": {"made": self.section}})
        head: Head = registry.resolve(whole.interpolate()["head"])["made"]
        head.name = self.name
        return head


@dataclass
class CorpusPlan:
    """A corpus of several.

    train, dev (str): Its files, as the config names them; dev is empty if there is none.
    heads, dev_heads (list[str]): The heads that learn from it, and those that are scored on it.
    label_map (Mapping[str, str]): New names of labels.
    """

    name: str
    train: str
    dev: str
    heads: list[str]
    dev_heads: list[str]
    label_map: Mapping[str, str] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """The parts of a config that a request and the data decide.

    paths (dict[str, str]): Values of `[paths]`.
    sampler (dict[str, Any]): Section of the sampler of several corpora.
    mean_length (float | None): Tokens of docs with gold per doc and per token, on average; None if it is not known.
    values (dict[str, Any]): Other values by dotted names.
    why (dict[str, str]): Reasons by dotted names, for the comments.
    warnings (list[str]): What the user should know before the training.
    """

    heads: list[HeadPlan] = field(default_factory=list)
    corpora: list[CorpusPlan] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
    sampler: dict[str, Any] = field(default_factory=dict)
    mean_length: float | None = None
    values: dict[str, Any] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def learners(self, corpus: str) -> list[str]:
        """The heads that learn from a corpus."""
        return next(plan.heads for plan in self.corpora if plan.name == corpus)

    def corpora_of(self, head: str, *, dev: bool = False) -> list[str]:
        """The corpora that a head learns from, or is scored on."""
        return [
            plan.name
            for plan in self.corpora
            if head in (plan.dev_heads if dev else plan.heads) and (plan.dev or not dev)
        ]
