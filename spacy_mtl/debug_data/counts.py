"""What one head, one corpus and one split have to do with each other, in numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from spacy.training import Example

from ..gold import is_same_tokenization
from ..pipeline.consistency import GoldCosts
from ..pipeline.head_views import HeadViews
from ..pipeline.initialization import collect_labels
from ..protocols.head import CountsGold, HasLabels, Head


@dataclass
class HeadCounts:
    """docs: with gold for the head. units: annotated docs or tokens. labels: examples of each label."""

    docs: int = 0
    units: int = 0
    labels: Counter[str] = field(default_factory=Counter)


@dataclass
class Part:
    """One corpus of one split.

    lengths (list[int]): Tokens of each doc. texts (list[int]): Hash of each doc's text. unused (int): Docs that no head
    has gold in. misaligned (int): Gold entities that do not begin and end at tokens of the pipeline's tokenizer.
    gold_costs (dict[str, GoldCosts]): By head with `consistent_with`, what the gold of dev or test costs, as far as the
    train split has shown.
    """

    split: str
    corpus: str
    lengths: list[int] = field(default_factory=list)
    texts: list[int] = field(default_factory=list)
    unused: int = 0
    misaligned: int = 0
    gold_costs: dict[str, GoldCosts] = field(default_factory=dict)
    heads: dict[str, HeadCounts] = field(default_factory=dict)

    def add(self, examples: Sequence[Example], heads: Mapping[str, Head]) -> None:
        """Count examples. New labels are added to the heads first."""
        views = HeadViews(examples)
        used = np.zeros(len(examples), dtype=bool)
        for key, head in heads.items():
            view = views.of(key)
            if isinstance(head, HasLabels):
                collect_labels(head, view)
            used |= self._count(key, head, view)
        self.unused += int((~used).sum())
        self.lengths.extend(len(eg.predicted) for eg in examples)
        self.texts.extend(hash(eg.reference.text) for eg in examples)
        self.misaligned += sum(map(n_misaligned, examples))

    def _count(self, key: str, head: Head, view: Sequence[Example]) -> np.ndarray:
        counts = self.heads.setdefault(key, HeadCounts())
        annotated = np.array([head.has_gold(eg) for eg in view], dtype=bool)
        for eg in (eg for eg, flag in zip(view, annotated, strict=True) if flag):
            counts.docs += 1
            counts.units += head.count_gold(eg.reference, counts.labels) if isinstance(head, CountsGold) else 1
        return annotated


def n_misaligned(example: Example) -> int:
    """Gold entities that do not begin and end at tokens of the predicted doc."""
    ents = example.reference.ents
    if not ents or is_same_tokenization(example):
        return 0
    return sum(example.predicted.char_span(ent.start_char, ent.end_char) is None for ent in ents)
