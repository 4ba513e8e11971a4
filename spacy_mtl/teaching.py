"""What teachers say of a gold doc, kept in its `user_data`: a reader writes it, the component reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

from spacy.tokens import Doc

from .protocols.soft_targets import SoftTarget

TEACHING_KEY = "spacy_mtl.teaching"


@dataclass(frozen=True)
class Teaching:
    """Soft targets of a doc, and how much the gold counts beside them.

    targets (Mapping[str, SoftTarget]): By the name of the head.
    gold_share (float): Share of the gold in the loss of a head that has gold and target in the doc, at the first step.
    anneal_steps (int): Number of steps in which the share rises linearly to 1: teacher annealing (Clark et al. 2019,
        "BAM! Born-Again Multi-Task Networks for Natural Language Understanding"). 0 leaves it as it is.
    """

    targets: Mapping[str, SoftTarget]
    gold_share: float = 0.0
    anneal_steps: int = 0

    def share_at(self, step: int) -> float:
        """The share of the gold after this number of steps."""
        if not self.anneal_steps:
            return self.gold_share
        return self.gold_share + (1.0 - self.gold_share) * min(step / self.anneal_steps, 1.0)


def teach(doc: Doc, teaching: Teaching) -> None:
    """Write what teachers say of a gold doc."""
    doc.user_data[TEACHING_KEY] = teaching


def teaching_of(doc: Doc) -> Teaching | None:
    """Return what teachers say of the gold doc; None if nothing."""
    return doc.user_data.get(TEACHING_KEY)


def is_taught(doc: Doc, head: str) -> bool:
    """Whether a teacher says something of the gold doc for the head."""
    teaching = teaching_of(doc)
    return teaching is not None and head in teaching.targets
