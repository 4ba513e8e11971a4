"""The result of reading all corpora of a config: numbers and findings."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from .counts import HeadCounts, Part

LevelT = Literal["error", "warning", "hint"]
LEVELS: tuple[LevelT, ...] = ("error", "warning", "hint")


@dataclass(frozen=True)
class Finding:
    """One thing to know before training."""

    level: LevelT
    """error: training stops, or a head learns nothing. warning: training or scores go wrong. hint: worth a look."""
    text: str
    """What is the case, where, and how to change it."""


@dataclass
class Audit:
    """The numbers and findings of one config."""

    train: str
    """The split to train on."""
    heads: list[str] = field(default_factory=list)
    """Names of the heads."""
    parts: list[Part] = field(default_factory=list)
    """Numbers of each corpus of each split."""
    findings: list[Finding] = field(default_factory=list)
    """Errors first, then warnings, then hints; within a level what does the most harm first."""

    def of_level(self, level: LevelT) -> list[str]:
        """The texts of the findings of one level."""
        return [finding.text for finding in self.findings if finding.level == level]

    @property
    def train_parts(self) -> list[Part]:
        """The corpora to train on."""
        return [part for part in self.parts if part.split == self.train]

    def counts_in_train(self, head: str) -> dict[str, HeadCounts]:
        """What the head finds in each corpus of the train split, by corpus."""
        return {part.corpus: part.heads[head] for part in self.train_parts if head in part.heads}

    def labels(self, head: str, *, train: bool) -> Counter[str]:
        """Examples of each label of a head in the train split, or in all others."""
        parts = [part for part in self.parts if (part.split == self.train) == train and head in part.heads]
        return sum((part.heads[head].labels for part in parts), Counter())

    def shared_texts(self, part: Part) -> int:
        """Docs of a dev or test corpus whose text is in the train split too."""
        if part.split == self.train:
            return 0
        train = {text for other in self.train_parts for text in other.texts}
        return sum(text in train for text in part.texts)
