"""Loss weights that follow schedules."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from thinc.api import Model

from ..balance.head_weights import HeadWeights, check_known
from ..protocols.weighting import NeedsT, Step


def make_scheduled_v1(schedules: dict[str, Any] | None = None, weights: dict[str, float] | None = None) -> "Scheduled":
    """Build the plain sum of the heads' losses with factors that change in the course of the training, such as a head
    that fades in after some steps. A batch with gold for one head alone has that head's factor too.

    schedules (dict[str, Schedule] | None): A schedule of thinc's (`@schedules`), or a number, for each head by name. It
        gets the number of steps so far and gives the head's factor, at least 0.
    weights (dict[str, float] | None): Factors by which these are multiplied, by name. Heads that are not named have
        1.0. With 0.0 the loss is reported, and trains nothing.
    """
    return Scheduled(schedules or {}, weights)


class Scheduled:
    """The weighting. The component counts its steps, also where a training is resumed."""

    maker = "spacy_mtl.Scheduled.v1"
    model: Model[Any, Any] | None = None
    needs: NeedsT = "sum"

    def __init__(self, schedules: Mapping[str, Any], weights: Mapping[str, float] | None) -> None:
        self.schedules = dict(schedules)
        self.head_weights = HeadWeights(self.maker, weights)

    def bind(self, heads: Sequence[str]) -> None:
        """Refuse weights that make no sense, and what is no schedule or belongs to no head."""
        self.head_weights.check(heads)
        check_known(self.schedules, heads, self.maker, "schedules")
        for name in self.schedules:
            self._at(name, 0)

    def weights(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The schedules' values at this step times the user's weights."""
        return self.head_weights.times({name: self._at(name, step.number) for name in losses}, losses)

    def _at(self, name: str, step: int) -> float:
        schedule = self.schedules.get(name, 1.0)
        if not callable(schedule) and not isinstance(schedule, int | float):
            raise ValueError(
                f"{self.maker}: the schedule of head {name!r} is {schedule!r}; expected a number, or a section with "
                "@schedules"
            )
        factor = float(schedule(step) if callable(schedule) else schedule)
        if not 0 <= factor < math.inf:
            raise ValueError(
                f"{self.maker}: the schedule of head {name!r} gives {factor} at step {step}; it must be at least 0"
            )
        return factor
