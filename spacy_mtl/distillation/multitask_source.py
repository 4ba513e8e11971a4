"""Heads of a `multitask` component as teachers."""

from collections.abc import Mapping, Sequence

import numpy as np
from spacy.tokens import Doc

from ..gold import unannotated
from ..pipeline.multitask import Multitask
from ..pipeline.prediction import run_to_predict
from ..protocols.head_confidence import Confident, SelfLabelling
from ..protocols.head_labels import HasLabels
from ..protocols.soft_targets import GivesTargets, LearnsFromTargets, TargetsT
from ..readers.target_shard import Answers, TargetForm


class MultitaskSource:
    """The component. All of its heads that teach run in one pass."""

    def __init__(self, pipe: Multitask, heads: Mapping[str, str], *, temperature: float, top: int) -> None:
        """heads (Mapping[str, str]): The teacher's head for each head of the student."""
        self.name = pipe.name
        self.pipe = pipe
        self.heads = dict(heads)
        self.temperature = temperature
        self.top = top
        self.forms = {own: self._form(theirs) for own, theirs in heads.items()}

    def labels(self, head: str) -> list[str]:
        """The labels of the teacher's head; of a classifier its keys of `doc.cats`."""
        theirs = self.pipe.heads[self.heads[head]]
        return list(theirs.labels) if isinstance(theirs, HasLabels) else []

    def answer(self, docs: Sequence[Doc]) -> dict[str, Answers]:
        """Annotate the docs with one forward pass."""
        docs, pipe = list(docs), self.pipe
        names = list(dict.fromkeys(self.heads.values()))
        decoding, scores = run_to_predict(pipe.model, pipe.in_order(), pipe.pairs, docs, names, name=pipe.name)
        found: dict[str, Answers] = {}
        for name in names:
            head = pipe.heads[name]
            head.set_annotations(docs, decoding.revised(name, scores))
            assert isinstance(head, SelfLabelling)
            copies = [unannotated(doc, doc.vocab) for doc in docs]
            for doc, copy in zip(docs, copies, strict=True):
                head.copy_annotation(doc, copy)
            confidences = np.full(len(docs), np.nan)
            if isinstance(head, Confident):
                confidences = np.asarray(head.confidence(docs, decoding.decided(name, scores)))
            targets: TargetsT = [None] * len(docs)
            if isinstance(head, GivesTargets):
                targets = head.soft_targets(docs, scores[name], temperature=self.temperature, top=self.top)
            found[name] = Answers(copies, confidences, targets)
        return {own: found[theirs] for own, theirs in self.heads.items()}

    def _form(self, name: str) -> TargetForm | None:
        head = self.pipe.heads[name]
        if not isinstance(head, GivesTargets) or not isinstance(head, LearnsFromTargets):
            return None
        return TargetForm(head.target_kind, head.target_columns, self.temperature)
