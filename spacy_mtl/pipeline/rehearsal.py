"""Rehearsal: the losses of a network against an earlier copy of it, its teacher."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc
from thinc.types import Ragged

from ..network.listeners import find_listeners
from ..network.run_heads import AllScoresT, HeadsRun, MultitaskModelT, PrepareT, run_heads
from ..protocols.head import Head
from ..protocols.head_training import LearnsFromTeacher


@dataclass
class Lesson:
    """How far the network is from its teacher on a batch.

    run (HeadsRun): Forward pass of the heads.
    bp_tokvecs (Callable | None): Backprop of the encoder; None over a listener, which leaves the encoder as it is.
    loss (float): Sum of the heads' losses in nats.
    d_scores (AllScoresT): Gradient of each head's loss, by head name.
    """

    run: HeadsRun
    bp_tokvecs: Callable[[Ragged], Any] | None
    loss: float
    d_scores: AllScoresT


def compare_with_teacher(
    teacher: MultitaskModelT,
    model: MultitaskModelT,
    heads: Mapping[str, Head],
    docs: list[Doc],
    *,
    prepare: PrepareT,
) -> Lesson:
    """Compute the losses against the teacher of all heads that write annotation and can learn from one.

    teacher (MultitaskModelT): The earlier copy.
    model (MultitaskModelT): The network that learns.
    heads (Mapping[str, Head]): In the order in which they run.
    docs (list[Doc]): The batch. No gold is needed.
    prepare (PrepareT): Builds what a head works on beside the vectors, once for both networks.
    """
    old_tokvecs = teacher.get_ref("encoder").predict(docs)
    old_scores = run_heads(teacher, heads, docs, old_tokvecs, is_train=False, prepare=prepare).scores
    bp_tokvecs = None
    if find_listeners(model):
        tokvecs = model.get_ref("encoder").predict(docs)
    else:
        tokvecs, bp_tokvecs = model.get_ref("encoder").begin_update(docs)
    run = run_heads(model, heads, docs, tokvecs, is_train=True, prepare=prepare)
    own = {
        key: head.get_teacher_loss(old_scores[key], run.scores[key])
        for key, head in heads.items()
        if head.writes and isinstance(head, LearnsFromTeacher)
    }
    return Lesson(run, bp_tokvecs, sum(loss for loss, _ in own.values()), {key: d for key, (_, d) in own.items()})
