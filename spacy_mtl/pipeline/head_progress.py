"""How far each head of a component has come in a training: its best evaluation, and whether it is done."""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import srsly
from spacy.util import logger

from ..network.parameter_copy import CopyT, copy_parameters, restart_averages, restore_parameters
from ..protocols.head import Head

# "encoder": the head's loss no longer moves anything but the head itself. "head": its loss moves nothing.
FreezeT = Literal["encoder", "head"]
# Computes a score to select the best model by, from all main scores by "component/head" and from what it remembers of
# earlier evaluations; None if no head that matters has a score.
SelectionT = Callable[[Mapping[str, float], dict[str, Any]], float | None]


@dataclass(frozen=True)
class Patience:
    """When a head is done.

    steps (int): Number of steps without a better score.
    freeze (str): What its loss no longer moves from then on.
    """

    steps: int
    freeze: FreezeT


@dataclass
class Record:
    """What is known of a head that has learned. Steps count from 0, as in spaCy's log.

    best_score (float): Its highest main score.
    best_step (int): The step of that evaluation, the first one of several that are equal.
    done_at (int | None): The step of the evaluation at which it was done; None if it is not.
    frozen (str | None): What its loss no longer moves.
    """

    best_score: float
    best_step: int
    done_at: int | None = None
    frozen: FreezeT | None = None


@dataclass
class State:
    """What a training's state includes.

    n_steps (int): Number of steps taken.
    records (dict[str, Record]): By head, of those that have learned and been evaluated.
    factors (dict[str, float]): The factor of each head's loss in the last step in which it moved the encoder.
    best (dict[str, CopyT]): The best weights of the heads that may become done.
    newly_done (list[str]): Heads that get their best weights at the next step.
    memory (dict[str, dict[str, Any]]): What each way to select the best model remembers, by the key of its score.
    """

    n_steps: int = 0
    records: dict[str, Record] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    best: dict[str, CopyT] = field(default_factory=dict)
    newly_done: list[str] = field(default_factory=list)
    memory: dict[str, dict[str, Any]] = field(default_factory=dict)


class HeadProgress:
    """The progress of all heads. It is kept with the state of a training (Protocol `Resumable`), not with a pipeline,
    whose meta has a summary.
    """

    def __init__(self) -> None:
        self._state = State()
        self._patience: Mapping[str, Patience] = {}
        self._meta: dict[str, Any] = {}
        self._name = ""
        self._is_resumed = False
        self._has_learned = False
        self._restored: list[str] = []

    def begin(self, meta: dict[str, Any], name: str, patience: Mapping[str, Patience] | None = None) -> None:
        """Begin a training, or go on with the one whose state has just been loaded.

        meta (dict[str, Any]): The pipeline's meta. From the first evaluation on it has a summary of each head under
            ["spacy_mtl"]["heads"][name].
        name (str): The component's name.
        patience (Mapping[str, Patience] | None): By head, of those that have any.
        """
        if not self._is_resumed:
            self._state = State()
        self._is_resumed = False
        self._meta, self._name, self._patience = meta, name, patience or {}

    @property
    def records(self) -> Mapping[str, Record]:
        """What is known of each head that has been evaluated."""
        return self._state.records

    @property
    def memory(self) -> Mapping[str, dict[str, Any]]:
        """What each way to select the best model remembers, by the key of its score."""
        return self._state.memory

    def done(self, what: FreezeT | None = None) -> set[str]:
        """Get the heads that are done.

        what (str | None): Only those that freeze this.
        """
        return {key for key, record in self.records.items() if record.frozen and what in (None, record.frozen)}

    def factor(self, head: str) -> float:
        """The factor of the loss of a head that is done: the one that it had before, or 0."""
        return 0.0 if self.records[head].frozen == "head" else self._state.factors.get(head, 1.0)

    def keep_factors(self, factors: Mapping[str, float]) -> None:
        """Keep the factors of the losses that move the encoder in this step."""
        self._state.factors.update(factors)

    def end_step(self) -> None:
        """Count a step."""
        self._state.n_steps += 1
        self._has_learned = True

    def forget(self, head: str) -> None:
        """Forget the evaluations of a head that has a new label: its score was another one, and the weights of that
        time no longer fit.
        """
        self._state.best.pop(head, None)
        if head in self._state.newly_done:
            self._state.newly_done.remove(head)
        if head not in self.done():
            self._state.records.pop(head, None)

    def observe(self, scores: Mapping[str, float | None], heads: Mapping[str, Head]) -> bool:
        """Take note of an evaluation. It counts if there was a step since the one before, since a trained pipeline may
        be evaluated on any docs.

        scores (Mapping[str, float | None]): The main scores. For a head without one there was no evaluation, nor for
            one that has not learned yet: a schedule may let it begin late.
        heads (Mapping[str, Head]): The heads with the weights that were evaluated, which may be averages.
        RETURNS (bool): Whether it counts.
        """
        if not self._has_learned:
            return False
        self._has_learned = False
        for key, score in scores.items():
            if score is not None and self._state.factors.get(key):
                self._observe_head(key, float(score), heads[key])
            elif score is None and key in self._patience:
                logger.warning(
                    "head '%s' has a patience but no score: none of the docs to evaluate carries its annotation, so it "
                    "will not be done",
                    key,
                )
        if self.records:
            self._meta.setdefault("spacy_mtl", {}).setdefault("heads", {})[self._name] = self.summary()
        return True

    def select(self, selections: Mapping[str, SelectionT], scores: Mapping[str, float]) -> dict[str, float | None]:
        """Compute the scores by which the best model can be selected, after an evaluation that counts.

        selections (Mapping[str, SelectionT]): By the key of their score.
        scores (Mapping[str, float]): "component/head" -> main score.
        """
        return {key: select(scores, self._state.memory.setdefault(key, {})) for key, select in selections.items()}

    def summary(self) -> dict[str, dict[str, Any]]:
        """The records by head, without what is None."""
        return {
            key: {name: value for name, value in asdict(record).items() if value is not None}
            for key, record in self.records.items()
        }

    def restore(self, heads: Mapping[str, Head]) -> None:
        """Give the heads that have just been done their best weights. That has to wait for the next step, since spaCy
        puts the weights back in the place of their averages after an evaluation.
        """
        for key in self._state.newly_done:
            restore_parameters(heads[key].model, self._state.best.pop(key))
        self._restored = self._state.newly_done
        self._state.newly_done = []

    def restart_averages(self, heads: Mapping[str, Head], averages: MutableMapping[Any, Any] | None) -> None:
        """Set the optimizer's averages of the heads that were restored in this step to their weights."""
        for key in self._restored:
            restart_averages(heads[key].model, averages)
        self._restored = []

    def training_state(self) -> bytes:
        """Get what a resumed training needs."""
        return bytes(srsly.msgpack_dumps(asdict(self._state)))

    def resume(self, state: bytes) -> None:
        """Set what `training_state` returned."""
        saved = srsly.msgpack_loads(state)
        self._state = State(**saved | {"records": {key: Record(**one) for key, one in saved["records"].items()}})
        self._is_resumed = True

    def _observe_head(self, key: str, score: float, head: Head) -> None:
        step, record = self._state.n_steps - 1, self.records.get(key)
        can_end = key in self._patience and (record is None or record.frozen is None)
        if record is None or score > record.best_score:
            record = self._state.records.setdefault(key, Record(score, step))
            record.best_score, record.best_step = score, step
            if can_end:
                self._state.best[key] = copy_parameters(head.model)
        elif can_end and step - record.best_step >= self._patience[key].steps:
            record.done_at, record.frozen = step, self._patience[key].freeze
            self._state.newly_done.append(key)
            logger.info("head '%s' is done: best score %.4f at step %d", key, record.best_score, record.best_step)
