"""From the folders of finished runs to the differences between systems."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..experiments.gold_counts import docs_with_gold
from ..experiments.predictions import judged_counts
from ..experiments.run_folder import RunFolder
from ..protocols.doc_verdicts import CountsDocs
from .paired_test import JudgedRuns
from .planning import Plan
from .relative_improvement import relative_improvement
from .result import Difference, Interval
from .systems import JOINT, System
from .verdict import Pair, judge


class Judgement:
    """Compares what the runs of a plan have left.

    plan (Plan): What was trained. folders (Sequence[RunFolder]): The folders of its runs.
    """

    def __init__(self, plan: Plan, folders: Sequence[RunFolder]) -> None:
        self.plan = plan
        self.folders = folders
        self.splits = ["dev"] if plan.test is None else ["dev", "test"]
        self._runs_of = cache(self._read_runs)

    def differences(self) -> list[Difference]:
        """Each head of each system against the head alone. The heads of a system are tested together."""
        return [
            difference
            for split in self.splits
            for system in self.plan.systems
            if len(system.tasks) > 1
            for difference in judge([self._pair(system, task, split) for task in system.tasks])
        ]

    def relative_improvements(self) -> dict[str, Interval]:
        """Δm of joint training over single tasks, on each split; without values if a task has no runs alone."""
        return {split: self._relative_improvement(split) for split in self.splits}

    def _relative_improvement(self, split: str) -> Interval:
        pairs = [
            (self._runs_of(JOINT, task, split), self._runs_of(alone(task), task, split))
            for task in self.plan.systems[0].tasks
        ]
        complete = [(joint, single) for joint, single in pairs if joint is not None and single is not None]
        return relative_improvement(complete) if len(complete) == len(pairs) else Interval(None, None, None)

    def _pair(self, system: System, task: str, split: str) -> Pair:
        head, baseline = self.plan.whole.heads[task], alone(task)
        metric = f"{task}_{head.main_score}"
        counts = self.plan.whole.dev if split == "dev" else self.plan.test
        return Pair(
            head=task,
            system=system.name,
            baseline=baseline,
            split=split,
            metric=metric,
            runs=self._runs_of(system.name, task, split),
            baseline_runs=self._runs_of(baseline, task, split),
            scores=self._scores(system.name, metric, split),
            baseline_scores=self._scores(baseline, metric, split),
            support=docs_with_gold(counts or {}, [task]),
            problem=self._problem(task),
        )

    def _problem(self, task: str) -> str:
        head = self.plan.whole.heads[task]
        if not isinstance(head, CountsDocs):
            return f"a {type(head).__name__} does not count what is right in each doc (Protocol CountsDocs)"
        return self.plan.replaced.get(task, "")

    def _scores(self, system: str, metric: str, split: str) -> list[float | None]:
        """The score of each seed, None for runs that failed."""
        return [
            folder.result()["scores"][split].get(metric) if folder.is_finished else None
            for folder in self.folders
            if folder.run.system == system
        ]

    def _read_runs(self, system: str, task: str, split: str) -> JudgedRuns | None:
        """What the head has counted in the finished runs of a system; None if there is nothing, or if the runs do not
        have the same labels.
        """
        head: Any = self.plan.whole.heads[task]
        finished = (folder for folder in self.folders if folder.run.system == system and folder.is_finished)
        counts = [judged[task] for folder in finished if task in (judged := judged_counts(folder.path, split))]
        if not counts or not same_shape(counts):
            return None
        return JudgedRuns(np.stack(counts), head.main_score_of)


def alone(task: str) -> str:
    """The name of the system that has this task alone."""
    return f"{task} alone"


def same_shape(arrays: Iterable[Any]) -> bool:
    """Whether the arrays can be stacked."""
    return len({array.shape for array in arrays}) == 1
