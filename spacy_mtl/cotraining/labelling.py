"""Pseudo-labels: predictions that two learners agree on, with enough confidence of both."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import minibatch
from tqdm import tqdm

from ..experiments.learner import Learner
from ..gold import unannotated
from ..protocols.head_confidence import SelfLabelling

BATCH_SIZE = 256
ReaderT = Callable[[Language], Iterable[Example]]
BoolsT = NDArray[np.bool_]


@dataclass
class HeadLabels:
    """The predictions of one head and which of them became labels. All lists have one item per text.

    threshold (float): Confidence that both learners had to reach.
    agreed (list[bool]): Whether both predicted the same.
    confidences (list[float]): Confidence of the less certain learner.
    taken (list[bool]): Whether the prediction became a label.
    """

    threshold: float
    agreed: list[bool] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    taken: list[bool] = field(default_factory=list)


@dataclass
class Labelled:
    """Labels for raw text.

    heads (dict[str, HeadLabels]): Predictions of the heads that can label texts, by name.
    n_docs (int): Number of texts with a label of at least one head.
    docs (DocBin): These texts. A head whose prediction was not taken has no annotation there.
    """

    heads: dict[str, HeadLabels]
    n_docs: int = 0
    docs: DocBin = field(default_factory=DocBin)

    def save(self, path: Path) -> Path:
        """Write the docs to a .spacy file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.docs.to_disk(path)
        return path

    def n_new(self, before: "Labelled | None") -> dict[str, int]:
        """By head, how many labels are on texts that the head had no label on before."""
        old = {} if before is None else before.heads
        return {
            head: sum(now and not then for now, then in zip(labels.taken, old[head].taken, strict=True))
            if head in old
            else sum(labels.taken)
            for head, labels in self.heads.items()
        }


def label(learners: Sequence[Learner], reader: ReaderT, thresholds: Mapping[str, float]) -> Labelled:
    """Annotate the texts with both learners, and take what they agree on.

    learners (Sequence[Learner]): Two of them.
    reader (Callable[[Language], Iterable[Example]]): Gives the texts.
    thresholds (Mapping[str, float]): Confidence that both must reach, by name of the heads that can label texts.
    """
    first, second = learners
    labelled = Labelled({head: HeadLabels(threshold) for head, threshold in thresholds.items()})
    texts = tqdm(reader(first.nlp), desc="labelling", unit=" texts", disable=None)
    for batch in minibatch(texts, BATCH_SIZE):
        raw = [eg.predicted for eg in batch]
        targets = [unannotated(doc, first.nlp.vocab) for doc in raw]
        pair = [annotate(learner, raw) for learner in (first, second)]
        has_label = np.zeros(len(raw), dtype=bool)
        for head, labels in labelled.heads.items():
            has_label |= _label_head(head, labels, pair, targets, first)
        for index in np.flatnonzero(has_label).tolist():
            labelled.docs.add(targets[index])
        labelled.n_docs += int(has_label.sum())
    return labelled


@dataclass
class Annotated:
    """The predictions of one learner.

    docs (list[Doc]): The annotated docs.
    confidences (Mapping[str, NDArray]): Confidence in each doc, (n_docs,), by head.
    """

    docs: list[Doc]
    confidences: Mapping[str, NDArray[np.float64]]


def annotate(learner: Learner, docs: Iterable[Doc]) -> Annotated:
    """Let the learner annotate copies of the docs, with its own vocabulary."""
    nlp = learner.nlp
    annotated = list(nlp.pipe([unannotated(doc, nlp.vocab) for doc in docs], batch_size=BATCH_SIZE))
    return Annotated(annotated, learner.pipe.confidences(annotated))


def _label_head(
    name: str, labels: HeadLabels, pair: Sequence[Annotated], targets: Sequence[Doc], learner: Learner
) -> BoolsT:
    """Write the head's labels to the targets. RETURNS: which of them got one, (n_docs,)."""
    head = learner.pipe.heads[name]
    assert isinstance(head, SelfLabelling)
    one, two = pair
    agreed = np.array([head.same_annotation(*docs) for docs in zip(one.docs, two.docs, strict=True)], dtype=bool)
    confidences = np.minimum(one.confidences[name], two.confidences[name])
    taken: BoolsT = agreed & (confidences >= labels.threshold)
    for index in np.flatnonzero(taken).tolist():
        head.copy_annotation(one.docs[index], targets[index])
    labels.agreed.extend(agreed.tolist())
    labels.confidences.extend(confidences.tolist())
    labels.taken.extend(taken.tolist())
    return taken
