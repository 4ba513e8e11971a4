"""Heads whose part in the training is out of the ordinary: adversaries, and learners from a teacher."""

from typing import Protocol, runtime_checkable

from .arrays import ScoresT


@runtime_checkable
class Adversarial(Protocol):
    """A head whose gradient reaches the encoder reversed. A weighting must not balance it away.

    adversarial (bool): Whether the gradient is reversed now.
    """

    adversarial: bool


@runtime_checkable
class LearnsFromTeacher(Protocol):
    """A head that can learn from another network's scores (`rehearse`, `keep`)."""

    def get_teacher_loss(self, teacher: ScoresT, scores: ScoresT) -> tuple[float, ScoresT]:
        """Compute the cross-entropy in nats against the teacher's distribution, and its gradient. The teacher has the
        first of this head's labels; labels that were added later enter neither.
        """
