"""spaCy's own pipes as teachers: `textcat` and the taggers with probabilities, all others with their labels alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from spacy.parts_of_speech import NAMES as POS_NAMES
from spacy.pipeline import EntityRecognizer, Tagger, TextCategorizer
from spacy.pipeline.morphologizer import Morphologizer
from spacy.pipeline.textcat_multilabel import MultiLabel_TextCategorizer
from spacy.tokens import Doc
from thinc.util import to_numpy

from ..gold import unannotated
from ..layers.softmax import softmax
from ..layers.target_losses import class_targets, token_targets
from ..protocols.arrays import ArrayT
from ..protocols.head_confidence import SelfLabelling
from ..readers.target_shard import Answers, TargetForm
from .doc_annotation import copy_annotation

LEAST = 1e-7
# What spaCy stores for a token without features.
NO_FEATURES = "_"
CopyT = Callable[[Doc, Doc], Any]


class CatsSource:
    """A `textcat` or `textcat_multilabel`."""

    def __init__(self, name: str, pipe: TextCategorizer, heads: Sequence[str], *, temperature: float) -> None:
        self.name = name
        self.pipe = pipe
        self.exclusive = not isinstance(pipe, MultiLabel_TextCategorizer)
        self.temperature = temperature
        kind: Any = "exclusive" if self.exclusive else "independent"
        form = TargetForm(kind, tuple(pipe.labels), temperature)
        self.forms: dict[str, TargetForm | None] = dict.fromkeys(heads, form)

    def labels(self, head: str) -> list[str]:
        """The classes."""
        return list(self.pipe.labels)

    def answer(self, docs: Sequence[Doc]) -> dict[str, Answers]:
        """Annotate the docs."""
        scores = self.pipe.predict(list(docs))
        self.pipe.set_annotations(docs, scores)
        probabilities = to_numpy(scores).astype("d").clip(LEAST, 1.0 - LEAST)
        if self.exclusive:
            decided = probabilities == probabilities.max(axis=1, keepdims=True)
            logits, confidences = np.log(probabilities), probabilities.max(axis=1)
        else:
            decided = probabilities >= self.pipe.cfg["threshold"]
            logits = np.log(probabilities) - np.log1p(-probabilities)
            confidences = np.where(decided, probabilities, 1.0 - probabilities).min(axis=1)
        copies = [unannotated(doc, doc.vocab) for doc in docs]
        for doc, row in zip(copies, decided.astype(float).tolist(), strict=True):
            doc.cats = dict(zip(self.pipe.labels, row, strict=True))
        targets = class_targets(self.pipe.labels, logits, exclusive=self.exclusive, temperature=self.temperature)
        return {head: Answers(copies, confidences, targets) for head in self.forms}


class TokensSource:
    """A `tagger`, `morphologizer` or `senter`."""

    def __init__(self, name: str, pipe: Tagger, heads: Mapping[str, str], *, temperature: float, top: int) -> None:
        """heads (Mapping[str, str]): The attribute that each head of the student learns, such as "pos"."""
        self.name = name
        self.pipe = pipe
        self.attributes = dict(heads)
        self.temperature = temperature
        self.top = top
        self._columns = {head: values_of(pipe, attribute) for head, attribute in heads.items()}
        self.forms: dict[str, TargetForm | None] = {
            head: TargetForm("tokens", labels, temperature) for head, (labels, _) in self._columns.items()
        }

    def labels(self, head: str) -> list[str]:
        """The values of the attribute."""
        return list(self._columns[head][0])

    def answer(self, docs: Sequence[Doc]) -> dict[str, Answers]:
        """Annotate the docs."""
        docs = list(docs)
        scores = self.pipe.model.predict(docs)
        self.pipe.set_annotations(docs, [to_numpy(row.argmax(axis=1)) for row in scores])
        rows = np.concatenate([np.zeros((0, len(self.pipe.labels))), *map(to_numpy, scores)])
        is_normal = self.pipe.model.get_ref("output_layer").attrs.get("softmax_normalize", True)
        logits = np.log(np.maximum(rows, LEAST)) if is_normal else rows
        probabilities, warm = softmax(logits), softmax(logits / self.temperature)
        return {head: self._answers(head, docs, probabilities, warm) for head in self.forms}

    def _answers(self, head: str, docs: Sequence[Doc], probabilities: ArrayT, warm: ArrayT) -> Answers:
        labels, index = self._columns[head]
        copies = [unannotated(doc, doc.vocab) for doc in docs]
        for doc, copy in zip(docs, copies, strict=True):
            copy_annotation(doc, copy, only=self.attributes[head])
        best = sum_columns(probabilities, index, len(labels)).max(axis=1, initial=0.0)
        ends = np.cumsum([len(doc) for doc in docs])
        sure = [best[end - len(doc) : end].min(initial=1.0) for doc, end in zip(docs, ends.tolist(), strict=True)]
        own = sum_columns(warm, index, len(labels))
        targets = token_targets(docs, labels, own, temperature=self.temperature, top=self.top)
        return Answers(copies, np.array(sure), targets)


class LabelsSource:
    """Any other pipe: it does not say how sure it is."""

    def __init__(self, name: str, pipe: Any, heads: Mapping[str, CopyT]) -> None:
        """heads (Mapping[str, Callable]): What copies the annotation of a doc to another one, by head."""
        self.name = name
        self.pipe = pipe
        self.heads = dict(heads)
        self.forms: dict[str, TargetForm | None] = dict.fromkeys(heads)

    def labels(self, head: str) -> list[str]:
        """The pipe's labels if they are entity types; those of other pipes may mean something else."""
        return list(self.pipe.labels) if isinstance(self.pipe, EntityRecognizer) else []

    def answer(self, docs: Sequence[Doc]) -> dict[str, Answers]:
        """Annotate the docs."""
        annotated = list(self.pipe.pipe(docs)) if hasattr(self.pipe, "pipe") else [self.pipe(doc) for doc in docs]
        found: dict[str, Answers] = {}
        for head, copy in self.heads.items():
            copies = [unannotated(doc, doc.vocab) for doc in annotated]
            for doc, target in zip(annotated, copies, strict=True):
                copy(doc, target)
            found[head] = Answers(copies, np.full(len(copies), np.nan), [None] * len(copies))
        return found


def copy_entities(source: Doc, target: Doc) -> None:
    """Copy the entities; all other tokens have none."""
    copy_annotation(source, target, only="ents")


def copier_of(head: Any, attribute: str) -> CopyT:
    """What copies the annotation that a head learns from. Raises a ValueError if its annotation can't be copied."""
    if attribute == "doc.ents":
        return copy_entities
    if isinstance(head, SelfLabelling):
        return head.copy_annotation
    raise ValueError(f"head {head.name!r}: a {type(head).__name__} can't learn from another pipeline's labels")


def values_of(pipe: Tagger, attribute: str) -> tuple[tuple[str, ...], ArrayT]:
    """The values of the attribute, and the index of the value that each of the pipe's labels stands for.

    A morphologizer has labels for part of speech and features together: "POS=NOUN|Number=Sing" stands for NOUN.
    """
    labels = list(pipe.labels)
    if isinstance(pipe, Morphologizer):
        pos, morph = pipe.cfg["labels_pos"], pipe.cfg["labels_morph"]
        meant = [
            POS_NAMES[pos.get(label, 0)] if attribute == "pos" else morph.get(label) or NO_FEATURES for label in labels
        ]
    else:
        meant = labels
    values = tuple(sorted(set(meant) - {""})) if isinstance(pipe, Morphologizer) else tuple(labels)
    known = {value: column for column, value in enumerate(values)}
    return values, np.array([known.get(value, -1) for value in meant])


def sum_columns(rows: ArrayT, index: ArrayT, n_values: int) -> ArrayT:
    """Add up the probabilities of labels that stand for the same value, (n_tokens, n_values)."""
    summed = np.zeros((n_values, len(rows)))
    np.add.at(summed, index[index >= 0], rows.T[index >= 0])
    return summed.T
