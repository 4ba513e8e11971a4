"""Loss weights that follow schedules."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from thinc.api import Model

from ..balance.head_weights import HeadWeights, check_known
from ..protocols.weighting import NeedsT, Step


def make_scheduled_v1(schedules: dict[str, Any] | None = None, weights: dict[str, float] | None = None) -> "Scheduled":
    """Build the plain sum of the heads' losses with factors that change in the course of the training, such as a head
    that fades in after some steps. A batch with gold for one head alone has that head's factor too.

    schedules (dict[str, Schedule] | None): A schedule (`@schedules`) of the factor, or a number, by head. Its values
        must be at least 0. Steps are those in which a head has found gold.
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
        self.schedules = {name: Schedule(given, name) for name, given in schedules.items()}
        self.head_weights = HeadWeights(self.maker, weights)

    def bind(self, heads: Sequence[str]) -> None:
        """Refuse weights that make no sense, schedules of heads that don't exist, and those that begin below 0."""
        self.head_weights.check(heads)
        check_known(self.schedules, heads, self.maker, "schedules")
        for name in self.schedules:
            self._at(name, 0)

    def weights(self, losses: Mapping[str, float], step: Step) -> dict[str, float]:
        """The schedules' values at this step times the user's weights."""
        return self.head_weights.times({name: self._at(name, step.number) for name in losses}, losses)

    def _at(self, name: str, step: int) -> float:
        if name not in self.schedules:
            return 1.0
        factor = self.schedules[name].at(step)
        if not 0 <= factor < math.inf:
            raise ValueError(
                f"{self.maker}: the schedule of head {name!r} gives {factor} at step {step}; it must be at least 0"
            )
        return factor


class Schedule:
    """A number, or one of thinc's schedules: an iterator, which is read as far as it is needed. A pickle of it, which
    is for prediction, has the values so far.
    """

    def __init__(self, given: Any, name: str) -> None:
        if not isinstance(given, int | float | Iterator):
            raise ValueError(
                f"{Scheduled.maker}: the schedule of head {name!r} is {given!r}; expected a number, or a section with "
                "@schedules"
            )
        self.rest: Iterator[float] = given if isinstance(given, Iterator) else iter([float(given)])
        self.values: list[float] = []

    def at(self, step: int) -> float:
        """The value at a step; the last one if the schedule has ended."""
        self.values += islice(self.rest, max(0, step + 1 - len(self.values)))
        return float(self.values[min(step, len(self.values) - 1)])

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.values,)


def _restore(values: list[float]) -> Schedule:
    schedule = Schedule(0.0, "")
    schedule.rest, schedule.values = iter([]), values
    return schedule
