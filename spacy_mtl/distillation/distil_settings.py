"""The settings of a distillation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

LabelsT = Literal["soft", "hard"]


@dataclass(frozen=True)
class TeacherName:
    """A teacher of one head.

    head (str): The student's head.
    path (str): The trained pipeline: a folder or an installed package.
    source (str): The teacher's head or pipe; empty for one of the same name, or the one with the same annotation.
    """

    head: str
    path: str
    source: str = ""

    @classmethod
    def parse(cls, option: str) -> "TeacherName":
        """Read "HEAD=PATH" or "HEAD=PATH:SOURCE". Raises a ValueError if it is neither."""
        head, equals, rest = option.partition("=")
        if not head or not equals or not rest:
            raise ValueError(f"--teacher {option}: expected HEAD=PATH, or HEAD=PATH:HEAD_OF_TEACHER")
        path, colon, source = rest.rpartition(":")
        if not colon or Path(rest).exists() or not path:
            return cls(head, rest)
        return cls(head, path, source)


@dataclass(frozen=True)
class DistilSettings:
    """The options of a run.

    teachers (Sequence[TeacherName]): One for each head that is taught.
    texts (Sequence[Path]): Raw texts, as `UnlabelledCorpus` reads them.
    augmented (int): Number of texts to make from the gold.
    labels (str): "soft" takes the teachers' probabilities where they give any, else their labels; "hard" takes labels.
    threshold (float): Least confidence of a label.
    thresholds (Mapping[str, float]): Thresholds of single heads, by name.
    temperature (float): Temperature of the soft targets.
    top (int): Number of labels that are kept for each token.
    gold (bool): Train on the gold too.
    gold_weight (float): Factor of the gold's part in the mix of gold and raw docs.
    gold_share (float): Share of the gold in the loss of gold docs at the first step.
    anneal (bool): Let that share rise linearly to 1 until the end of the training.
    baseline (bool): Also train the student on the gold alone.
    """

    teachers: Sequence[TeacherName]
    texts: Sequence[Path] = ()
    augmented: int = 0
    labels: LabelsT = "soft"
    threshold: float = 0.0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    top: int = 8
    gold: bool = True
    gold_weight: float = 1.0
    gold_share: float = 0.0
    anneal: bool = True
    baseline: bool = False

    def __post_init__(self) -> None:
        heads = [teacher.head for teacher in self.teachers]
        if not heads:
            raise ValueError("there is no teacher; name one with --teacher HEAD=PATH")
        twice = sorted({head for head in heads if heads.count(head) > 1})
        if twice:
            raise ValueError(f"head {twice[0]!r} has several teachers; give it one")
        if self.labels not in ("soft", "hard"):
            raise ValueError(f"labels is {self.labels!r}; it must be 'soft' or 'hard'")
        for name, least in (("top", 1), ("augmented", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        for name in ("temperature", "gold_weight"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name, share in {"threshold": self.threshold, "gold_share": self.gold_share, **self.thresholds}.items():
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} is {share}; it must be from 0 to 1")
        unknown = sorted(set(self.thresholds) - set(heads))
        if unknown:
            raise ValueError(f"a threshold is given for {unknown}, but the heads with a teacher are {heads}")
        if not self.gold and (self.augmented or self.baseline):
            raise ValueError("without gold there can be neither augmented texts nor a baseline on gold alone")
        if not self.gold and not self.texts:
            raise ValueError("there is nothing to learn from: neither gold nor texts; give --texts")

    def threshold_of(self, head: str) -> float:
        """The threshold of a head: its own, or the common one."""
        return self.thresholds.get(head, self.threshold)
