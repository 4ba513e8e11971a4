"""What one head finds in one corpus of one split, in numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from spacy.training import Example

from ..gold import is_same_tokenization
from ..pipeline.consistency import GoldCosts
from ..pipeline.head_views import HeadViews
from ..pipeline.initialization import collect_labels
from ..protocols.head import Head
from ..protocols.head_gold import FindsMistakes
from ..protocols.head_labels import CountsGold, HasLabels, TeachesAbsence


@dataclass
class HeadCounts:
    """The gold of one head in some docs."""

    docs: int = 0
    """Docs with gold for the head."""
    units: int = 0
    """Annotated docs or tokens."""
    labels: Counter[str] = field(default_factory=Counter)
    """Examples of each label."""
    negatives: Counter[str] = field(default_factory=Counter)
    """Docs that are negative examples of each label."""
    complete: int = 0
    """Docs that are negative examples of every label they do not have."""
    mistakes: int = 0
    """Docs that training would refuse."""
    first_mistake: str = ""
    """The error message for the first of these."""

    def add(self, head: Head, examples: Sequence[Example]) -> NDArray[np.bool_]:
        """Count the gold of examples. RETURNS: Whether each has any, (n_examples,)."""
        annotated = np.array([head.has_gold(eg) for eg in examples], dtype=bool)
        for eg in (eg for eg, flag in zip(examples, annotated, strict=True) if flag):
            self.docs += 1
            self.units += head.count_gold(eg.reference, self.labels) if isinstance(head, CountsGold) else 1
        return annotated

    def check(self, head: Head, examples: Sequence[Example]) -> None:
        """Count what the head would learn as negative, and what training would refuse, in examples with gold."""
        if isinstance(head, TeachesAbsence):
            for eg in examples:
                absent = head.absent_labels(eg.reference)
                if absent is None:
                    self.complete += 1
                else:
                    self.negatives.update(absent)
        if isinstance(head, FindsMistakes):
            found = [message for eg in examples if (message := head.find_mistake(eg)) is not None]
            self.mistakes += len(found)
            self.first_mistake = self.first_mistake or "".join(found[:1])


@dataclass
class Part:
    """One corpus of one split."""

    split: str
    """The section of `[corpora]`."""
    corpus: str
    """The name of the corpus; that of the split if the split is a single corpus."""
    lengths: list[int] = field(default_factory=list)
    """Tokens of each doc."""
    n_gold_tokens: int = 0
    """Tokens of the gold docs."""
    texts: list[int] = field(default_factory=list)
    """Hash of each doc's text."""
    unused: int = 0
    """Docs that no head has gold in."""
    misaligned: int = 0
    """Gold entities that do not begin and end at tokens of the pipeline's tokenizer."""
    gold_costs: dict[str, GoldCosts] = field(default_factory=dict)
    """Cost of the gold of dev or test, as far as the train split has shown, by head with `consistent_with`."""
    heads: dict[str, HeadCounts] = field(default_factory=dict)
    """Counts by head."""
    stored: "Stored | None" = None
    """What the files of the corpus hold, if the reader has files."""

    def add(self, examples: Sequence[Example], heads: Mapping[str, Head]) -> None:
        """Count examples. New labels are added to the heads first."""
        views = HeadViews(examples)
        used = np.zeros(len(examples), dtype=bool)
        for key, head in heads.items():
            view, counts = views.of(key), self.heads.setdefault(key, HeadCounts())
            learn_labels(head, view)
            annotated = counts.add(head, view)
            counts.check(head, [eg for eg, flag in zip(view, annotated, strict=True) if flag])
            used |= annotated
        self.unused += int((~used).sum())
        self.lengths.extend(len(eg.predicted) for eg in examples)
        self.n_gold_tokens += sum(len(eg.reference) for eg in examples)
        self.texts.extend(hash(eg.reference.text) for eg in examples)
        self.misaligned += sum(map(n_misaligned, examples))


@dataclass
class Stored:
    """What the files of a corpus hold, to compare with what its reader gives."""

    docs: int = 0
    """Docs with tokens."""
    tokens: int = 0
    """Their tokens."""
    beyond_limit: int = 0
    """Docs beyond the limit of the corpus; they are not counted above."""
    settings: dict[str, int] = field(default_factory=dict)
    """Settings of the reader that split docs or leave them out."""
    heads: dict[str, HeadCounts] = field(default_factory=dict)
    """Counts by head."""

    def add(self, examples: Sequence[Example], heads: Mapping[str, Head]) -> None:
        """Count docs of the files. New labels are added to the heads first."""
        views = HeadViews(examples)
        for key, head in heads.items():
            view = views.of(key)
            learn_labels(head, view)
            self.heads.setdefault(key, HeadCounts()).add(head, view)
        self.docs += len(examples)
        self.tokens += sum(len(eg.reference) for eg in examples)


def learn_labels(head: Head, examples: Sequence[Example]) -> None:
    """Add the labels of gold examples to the head."""
    if isinstance(head, HasLabels):
        collect_labels(head, examples)


def n_misaligned(example: Example) -> int:
    """Gold entities that do not begin and end at tokens of the predicted doc."""
    ents = example.reference.ents
    if not ents or is_same_tokenization(example):
        return 0
    return sum(example.predicted.char_span(ent.start_char, ent.end_char) is None for ent in ents)


def length_row(part: Part) -> dict[str, float]:
    """The distribution of doc lengths, in tokens."""
    lengths = np.array(part.lengths or [0])
    names = ("min", "median", "p95", "max")
    values = dict(zip(names, np.quantile(lengths, [0.0, 0.5, 0.95, 1.0]).tolist(), strict=True))
    return {"total": float(lengths.sum()), "mean": float(lengths.mean())} | values
