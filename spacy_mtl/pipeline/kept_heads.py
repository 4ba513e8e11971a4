"""Learning without forgetting: old heads learn from the scores of the pipeline that a training begins from.

Li and Hoiem 2016, "Learning without Forgetting", ECCV.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc

from ..network.finite_gradients import NotFinite, check_loss
from ..network.run_heads import AllScoresT, HeadsRun, PrepareT
from ..protocols.arrays import PreparedT
from ..protocols.between_heads import Prepares
from ..protocols.head import Head
from ..protocols.head_training import LearnsFromTeacher
from .head_views import HeadViews
from .initial_weights import InitialWeights


class KeptHeads:
    """The heads that are kept, and the pipeline that teaches them. It is frozen, and no part of what is saved."""

    def __init__(self, teacher: InitialWeights, weights: Mapping[str, float], heads: Mapping[str, Head]) -> None:
        """teacher (InitialWeights): The pipeline that the training begins from.
        weights (Mapping[str, float]): The weight of each kept head's loss against the teacher. A head of weight 0 is
            not kept.
        heads (Mapping[str, Head]): All heads of the component, with the teacher's labels first.
        RAISES ValueError: A head can't be kept, or a weight is negative or infinite.
        """
        for name, weight in weights.items():
            check_kept(name, weight, heads, teacher)
        self.teacher = teacher
        self.heads = heads
        self.weights = {name: float(weight) for name, weight in weights.items() if weight}

    def ask(self, docs: Sequence[Doc], views: HeadViews) -> "TeacherScores":
        """Let the teacher read a batch, in one pass without gradient.

        docs (Sequence[Doc]): The docs to learn from. The teacher reads copies of them.
        views (HeadViews): Their gold.
        """
        able = {key: head for key in self.weights if isinstance(head := self.heads[key], Prepares)}
        from_gold = [key for key in able if any(self.heads[key].has_gold(eg) for eg in views.of(key))]
        copies = self.teacher.copies_of(docs)
        others = [key for key in self.weights if key not in from_gold]
        if not others:
            return TeacherScores(self, copies, {}, {}, from_gold)
        decoding, scores = self.teacher.run(copies, others)
        prepared = {key: decoding.prepare(key, scores) for key in others if key in able}
        return TeacherScores(self, copies, scores, prepared, from_gold)


@dataclass
class TeacherScores:
    """What the teacher says of a batch.

    docs (list[Doc]): The teacher's copies of the docs.
    scores (AllScoresT): By head, without those in `from_gold`.
    prepared (Mapping[str, PreparedT]): What the teacher's heads have worked on, such as pairs of the entities that it
        has found. Heads without gold in the batch work on the same, since they would find nothing to work on.
    from_gold (Sequence[str]): Kept heads that work on gold of the batch, and the teacher with them.
    """

    kept: KeptHeads
    docs: list[Doc]
    scores: AllScoresT
    prepared: Mapping[str, PreparedT]
    from_gold: Sequence[str]

    def compare(self, run: HeadsRun, prepare: PrepareT) -> tuple[dict[str, float], AllScoresT]:
        """Compute the losses of the kept heads against the teacher, without heads that are skipped.

        run (HeadsRun): Forward pass of the component on the same batch.
        prepare (PrepareT): What its heads have worked on.
        RAISES NotFinite: A loss is NaN or infinite, and heads are not to be skipped; the error names the head.
        RETURNS: The loss in nats and its weighted gradient, by head name.
        """
        scores = dict(self.scores)
        if self.from_gold:
            prepared = {key: prepare(key, run.scores) for key in self.from_gold}
            scores |= self.kept.teacher.run(self.docs, self.from_gold, prepared=prepared)[1]
        losses: dict[str, float] = {}
        d_scores: AllScoresT = {}
        for key, weight in self.kept.weights.items():
            head = self.kept.heads[key]
            assert isinstance(head, LearnsFromTeacher)
            loss, gradient = head.get_teacher_loss(scores[key], run.scores[key])
            try:
                check_loss(loss, f"head {key!r}, kept")
            except NotFinite as error:
                run.skip(key, error)
                continue
            losses[key], d_scores[key] = loss, gradient * weight
        return losses, d_scores


def check_kept(name: str, weight: float, heads: Mapping[str, Head], teacher: InitialWeights) -> None:
    """Raise a ValueError if a head can't be kept."""
    where = f"[initialize.components.{teacher.name}] keep"
    both = [key for key in heads if key in teacher.pipe.heads]
    if name not in both:
        raise ValueError(
            f"{where} names {name!r}, but the heads that are here and in {teacher.path} are {both}; name one of these"
        )
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"{where}: the weight of head {name!r} is {weight}; it must be finite and at least 0")
    if not (heads[name].writes and isinstance(heads[name], LearnsFromTeacher)):
        raise ValueError(
            f"{where} names {name!r}, but a {type(heads[name]).__name__} writes no annotation, or can't learn from "
            "the scores of a teacher; take it out of keep"
        )
