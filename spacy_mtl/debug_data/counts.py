"""What one head, one corpus and one split have to do with each other, in numbers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from spacy.attrs import ENT_IOB, MORPH, POS, SENT_START, TAG
from spacy.tokens import Doc
from spacy.training import Example

from ..gold import is_same_tokenization, stored_values
from ..pipeline.consistency import GoldCosts
from ..pipeline.head_views import Views
from ..protocols.head import Head

TOKEN_ATTRS = {"tag": TAG, "pos": POS, "morph": MORPH, "sent_start": SENT_START}


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
        views = Views(examples)
        used = np.zeros(len(examples), dtype=bool)
        for key, head in heads.items():
            view = views.of(key)
            add_labels(head, view)
            used |= self._count(key, head, view)
        self.unused += int((~used).sum())
        self.lengths.extend(len(eg.predicted) for eg in examples)
        self.texts.extend(hash(eg.reference.text) for eg in examples)
        self.misaligned += sum(map(n_misaligned, examples))

    def _count(self, key: str, head: Head, view: Sequence[Example]) -> np.ndarray:
        counts = self.heads.setdefault(key, HeadCounts())
        annotated = np.array([head.is_correct(eg) is not None for eg in view], dtype=bool)
        count = counter_of(head)
        for eg in (eg for eg, flag in zip(view, annotated, strict=True) if flag):
            counts.docs += 1
            counts.units += count(eg.reference, counts.labels)
        return annotated


def add_labels(head: Head, examples: Sequence[Example]) -> None:
    """Let the head take the labels of more examples."""
    known = head.labels
    head.collect_labels(examples)
    for label in known:
        head.add_label(label)


def counter_of(head: Head) -> Callable[[Doc, Counter[str]], int]:
    """How to count a doc's annotation: takes the doc and the labels so far, gives the number of annotated units."""
    attribute = head.attribute
    if attribute == "cats":
        labels = head.writes
        return lambda doc, counts: count_cats(doc, counts, labels)
    if attribute == "ents" or attribute.startswith("spans["):
        return count_ents
    if attribute in TOKEN_ATTRS:
        return lambda doc, counts: count_tokens(doc, counts, attribute)
    return lambda doc, counts: 1


def count_cats(doc: Doc, counts: Counter[str], labels: Mapping[str, str]) -> int:
    """The classes that apply. The unit is the doc."""
    for key, value in doc.cats.items():
        label = labels.get(f"doc.cats[{key!r}]")
        if label is not None and value > 0:
            counts[label] += 1
    return 1


def count_ents(doc: Doc, counts: Counter[str]) -> int:
    """The entities. The unit is the token: those whose entity is not unset."""
    counts.update(ent.label_ for ent in doc.ents)
    return int((doc.to_array(ENT_IOB) != 0).sum())


def count_tokens(doc: Doc, counts: Counter[str], attribute: str) -> int:
    """The values of a token attribute. The unit is the token."""
    values, numbers = np.unique(stored_values(doc, TOKEN_ATTRS[attribute]), return_counts=True)
    found = {int(value): int(number) for value, number in zip(values, numbers, strict=True) if value}
    if attribute == "sent_start":
        counts["S"] += found.get(1, 0)
        counts["I"] += sum(found.values()) - found.get(1, 0)
    else:
        counts.update({doc.vocab.strings[value]: number for value, number in found.items()})
    return sum(found.values())


def n_misaligned(example: Example) -> int:
    """Gold entities that do not begin and end at tokens of the predicted doc."""
    ents = example.reference.ents
    if not ents or is_same_tokenization(example):
        return 0
    return sum(example.predicted.char_span(ent.start_char, ent.end_char) is None for ent in ents)
