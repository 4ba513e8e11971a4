"""Co-training in rounds: two learners label raw text for the next two.

After Blum and Mitchell (1998), "Combining Labeled and Unlabeled Data with Co-Training". Unlike there, a label needs
both learners, and every round labels all texts anew, so that nothing that was taken once has to stay.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO

from thinc.api import Config

from ..experiments.learner import Learner, train_learner
from ..whole_folder import copy_whole
from .labelling import Labelled, label
from .plan import Plan, make_plan
from .report import Report, Round, report_labels, report_learner
from .round_corpus import with_pseudo_labels
from .settings import Settings

OnRoundT = Callable[[Round, Report], None]


def co_train(
    config: Config,
    raw: Path,
    output: Path,
    settings: Settings,
    *,
    use_gpu: int = -1,
    stdout: IO[str] = sys.stdout,
    on_round: OnRoundT | None = None,
) -> Report:
    """Train on the gold, then round by round on the gold and on what the learners of the round before agree on.

    config (Config): A training config with one component `multitask`, not interpolated.
    raw (Path): Raw texts, as `UnlabelledCorpus` reads them.
    output (Path): A new or empty folder. It gets model-best, the learners of each round, the labels of each round as
        round-N/pseudo.spacy, report.json and report.md.
    on_round (Callable[[Round, Report], None] | None): Called after each round.
    RETURNS (Report): What happened.
    RAISES ValueError: Something is wrong with config, settings, texts or folder; then nothing was trained.
    """
    plan = make_plan(config, raw, output, settings)
    output.mkdir(parents=True, exist_ok=True)
    report = Report(str(raw), plan.n_raw, asdict(settings) | {"seed": plan.seed}, plan.unable)
    session = Session(plan, output, report, use_gpu=use_gpu, stdout=stdout, on_round=on_round)
    session.first_round()
    while not report.stopped and len(report.rounds) <= settings.rounds:
        session.next_round(settings.patience)
    report.stopped = report.stopped or f"all {settings.rounds} rounds are done"
    report.save(output)
    copy_whole(output / report.best_round.best.model, output / "model-best")
    return report


class Session:
    """A run: the learners of the last round, and the labels that they learned from."""

    def __init__(
        self, plan: Plan, output: Path, report: Report, *, use_gpu: int, stdout: IO[str], on_round: OnRoundT | None
    ) -> None:
        self.plan = plan
        self.output = output
        self.report = report
        self.use_gpu = use_gpu
        self.stdout = stdout
        self.on_round = on_round
        self.learners: list[Learner] = []
        self.labels: dict[str, list[str]] = {}
        self.labelled: Labelled | None = None

    def first_round(self) -> None:
        """Train on the gold, which also gives the heads their labels for all rounds."""
        self._train(Round(0), self.plan.configs)
        self.labels = self.learners[0].pipe.label_data

    def next_round(self, patience: int) -> None:
        """Label the raw texts and train on the labels, or say in the report why it ends here."""
        number = len(self.report.rounds)
        before, self.labelled = self.labelled, label(self.learners, self.plan.reader, self.plan.thresholds)
        one = Round(number, self.labelled.n_docs, report_labels(self.labelled, before))
        if not any(row.new for row in one.heads.values()):
            self.report.stopped = f"no head got a new label in round {number}"
            self._finish(one)
            return
        path = self.labelled.save(self.output / f"round-{number}" / "pseudo.spacy")
        configs = {
            name: with_pseudo_labels(config, path, self.plan.component, self.labels)
            for name, config in self.plan.configs.items()
        }
        self._train(one, configs)
        if number - self.report.best_round.number >= patience:
            best = self.report.best_round.number
            self.report.stopped = f"the dev score of round {number} is not above that of round {best}"

    def _train(self, one: Round, configs: Mapping[str, Config]) -> None:
        folder = self.output / f"round-{one.number}"
        self.learners = []
        for name, config in configs.items():
            self.stdout.write(f"\nRound {one.number}, {name} learner\n")
            learner = train_learner(name, config, folder / name, use_gpu=self.use_gpu, stdout=self.stdout)
            self.learners.append(learner)
            one.learners.append(report_learner(learner, self.output))
        self._finish(one)

    def _finish(self, one: Round) -> None:
        self.report.rounds.append(one)
        self.report.save(self.output)
        if self.on_round is not None:
            self.on_round(one, self.report)
