"""Distillation: one or several teachers label texts, and a student with one encoder learns from them."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import get_package_path
from thinc.api import Config

from ..experiments.engine import Engine, EngineSettings, find_engine
from ..experiments.finish_runs import finish_runs
from ..experiments.output_folder import check_output, claim
from ..experiments.run import Run, judged_on
from ..experiments.run_folder import RunFolder, write_json
from ..protocols.head import Head
from ..protocols.head_labels import HasLabels
from ..readers.target_shard import TargetForm
from ..whole_folder import copy_whole
from .distil_plan import DistilPlan, dev_examples, dev_section, make_plan
from .distil_report import DistilReport, SystemRow
from .distil_settings import DistilSettings, TeacherName
from .label_fit import fit_labels
from .student_config import GOLD, make_student_config
from .taught_docs import write_taught_docs
from .teacher_pass import PassKey, TeacherPass, answer_all
from .teacher_pipeline import Teacher, digest_of

MARKER = "distil.lock"
TEACHERS, TAUGHT, RUNS, BEST, CONFIG = "teachers", "taught", "runs", "model-best", "student.cfg"
STUDENT, ALONE = "student", "gold alone"
SayT = Callable[[str], None]


@dataclass(frozen=True)
class Carrying:
    """How the work is done, which changes nothing in the result.

    jobs (int): Number of trainings at the same time. use_gpu (int): Number of the GPU, -1 for the CPU.
    code (Path | None): Python file with functions that the configs register.
    engine (str): Name in the registry `mtl_engines`.
    say (Callable[[str], None]): Tells the user what is going on.
    """

    jobs: int = 1
    use_gpu: int = -1
    code: Path | None = None
    engine: str = "local"
    say: SayT = print


def distil(config: Config, output: Path, settings: DistilSettings, carrying: Carrying) -> DistilReport:
    """Let the teachers answer to the texts, and train the student on the answers.

    config (Config): The student's training config with one component `multitask`, not interpolated.
    output (Path): A folder that is new, empty, or from an earlier start, whose finished parts are used. It gets the
        teachers' answers, the student's config, model-best, report.json and report.md.
    RAISES ValueError: Something is wrong with config, teachers, texts or folder; then nothing was trained.
    RAISES OSError: The disk is full. What is finished stays.
    """
    check_output(output, MARKER)
    make_engine = find_engine(carrying.engine)
    plan = make_plan(config, settings)
    with claim(output, MARKER) as inherited:
        work = Distillation(plan, output, carrying)
        work.ask_teachers()
        configs = work.make_configs()
        engine = make_engine(EngineSettings(carrying.jobs, carrying.use_gpu, carrying.code, inherited))
        work.train(engine, configs)
        work.report.save(output)
    return work.report


class Distillation:
    """A run."""

    def __init__(self, plan: DistilPlan, output: Path, carrying: Carrying) -> None:
        self.plan = plan
        self.settings = plan.settings
        self.output = output
        self.carrying = carrying
        self.report = DistilReport(asdict(plan.settings))
        self.passes: dict[str, list[TeacherPass]] = {texts.name: [] for texts in plan.texts}

    def ask_teachers(self) -> None:
        """Let each teacher answer to all texts, one teacher after the other, each loaded once."""
        by_path: dict[str, list[TeacherName]] = {}
        for name in self.settings.teachers:
            by_path.setdefault(name.path, []).append(name)
        for path, names in by_path.items():
            self._ask(path, names)

    def make_configs(self) -> dict[str, Config]:
        """Write the raw docs and the student's config. RETURNS: the configs to train by the name of the system."""
        plan, settings = self.plan, self.settings
        thresholds = {name.head: settings.threshold_of(name.head) for name in settings.teachers}
        taught = {name: self.output / TAUGHT / name for name in self.passes if name != GOLD}
        for name, folder in taught.items():
            counts = write_taught_docs(
                folder, self.passes[name], thresholds, use_soft=settings.labels == "soft", vocab=plan.nlp.vocab
            )
            if not any(row.soft or row.hard for row in counts.values()):
                raise ValueError(f"no text of the {name} ones got a label or a soft target; lower --threshold")
            for head, row in counts.items():
                self.report.taught.append({"texts": name, "head": head} | asdict(row))
        heads = plan.pipe.heads
        empty = [key for key, head in heads.items() if isinstance(head, HasLabels) and not head.labels]
        if empty:
            raise ValueError(
                f"head {empty[0]!r} has no labels: neither gold nor a teacher gives any; give it a teacher"
            )
        student = make_student_config(
            plan.config,
            settings,
            component=plan.pipe.name,
            labels=plan.pipe.label_data,
            targets={name: [one.path for one in passes if has_soft(one)] for name, passes in self.passes.items()},
            taught=taught,
        )
        student.to_disk(self.output / CONFIG)
        return {STUDENT: student} | ({ALONE: plan.config} if settings.baseline else {})

    def train(self, engine: Engine, configs: Mapping[str, Config]) -> None:
        """Train the systems that have no result yet, and report their scores. Raises a ValueError if one fails."""
        section = {"dev": dev_section(self.plan)}
        heads = tuple(self.plan.pipe.heads)
        runs = [
            Run(name, heads, self.plan.seed, judged_on(config, section).interpolate(), self.carrying.code)
            for name, config in configs.items()
        ]
        folders = [RunFolder(run, self.output / RUNS / run.name) for run in runs]
        finish_runs(engine, folders, jobs=self.carrying.jobs)
        for folder in folders:
            if not folder.is_finished:
                raise ValueError(f"the training of the {folder.run.system} failed:\n{folder.last_words()}")
            result = folder.result()
            scores = main_scores(self.plan.pipe.heads, result["scores"]["dev"])
            model = folder.model if folder.run.system == ALONE else self.output / BEST
            row = SystemRow(folder.run.system, str(model), int(result["cost"]["bytes"]), scores)
            self.report.systems.append(row)
        copy_whole(folders[0].model, self.output / BEST)

    def _ask(self, path: str, names: Sequence[TeacherName]) -> None:
        settings = self.settings
        sources = {name.head: name.source for name in names}
        digest = digest_of(path)
        passes = [
            TeacherPass(
                self.output / TEACHERS,
                texts,
                PassKey(digest, texts.digest, sources, settings.temperature, settings.top),
            )
            for texts in self.plan.texts
        ]
        scores_file = self.output / TEACHERS / f"dev-{passes[0].key.short}-{self._judged[:12]}.json"
        teacher: Teacher | None = None
        for one in passes:
            if one.is_done:
                self.carrying.say(f"{one.stem}: the answers of {path} are in {one.path}")
                continue
            for other, changed in one.outdated().items():
                self.carrying.say(f"{one.stem}: {other} is of another pass ({', '.join(changed)} changed); not used")
            teacher = teacher or self._load(path, names)
            self._check_fit(teacher.forms, {head: teacher.labels(head) for head in teacher.heads})
            one.run(teacher, self.plan.nlp)
        for one in passes:
            self.passes[one.texts.name].append(one)
        results = [one.result()["heads"] for one in passes]
        self._check_fit(
            {h: form_in(found) for h, found in results[0].items()},
            {h: f["own_labels"] for h, f in results[0].items()},
            note=True,
        )
        for found in results:
            for head, row in found.items():
                self.report.dropped[head] = self.report.dropped.get(head, 0) + row["dropped"]
        self._note_drops(results[0])
        if not scores_file.exists():
            teacher = teacher or self._load(path, names)
            write_json(scores_file, self._scores_of(teacher))
        scores = json.loads(scores_file.read_text(encoding="utf8"))
        self.report.systems.append(SystemRow(f"teacher of {', '.join(sources)}", path, size_of(path), scores))

    def _load(self, path: str, names: Sequence[TeacherName]) -> Teacher:
        self.carrying.say(f"Loading the teacher {path}")
        settings = self.settings
        return Teacher(path, names, self.plan.pipe.heads, temperature=settings.temperature, top=settings.top)

    def _check_fit(
        self, forms: Mapping[str, TargetForm | None], labels: Mapping[str, Sequence[str]], *, note: bool = False
    ) -> None:
        for head, form in forms.items():
            own = self.plan.pipe.heads[head]
            lacking = fit_labels(
                own, form if self.settings.labels == "soft" else None, labels[head], fixed=head in self.plan.fixed
            )
            if note and lacking:
                self._note(
                    f"head {head!r}: its teacher does not know {lacking}; the student learns them from gold alone"
                )
            if note and form is None and self.settings.labels == "soft":
                self._note(f"head {head!r}: its teacher can't say how sure it is, so the student gets its labels alone")

    def _note_drops(self, heads: Mapping[str, Any]) -> None:
        for head in heads:
            if self.report.dropped[head]:
                self._note(
                    f"head {head!r}: {self.report.dropped[head]} entities or values of its teacher do not fit the "
                    "student's tokens and were dropped"
                )

    def _note(self, text: str) -> None:
        if text not in self.report.notes:
            self.report.notes.append(text)
            self.carrying.say(text)

    @cached_property
    def _judged(self) -> str:
        """The SHA-256 of what determines a teacher's scores on dev, besides the teacher: the docs and the heads."""
        docs = [doc for eg in dev_examples(self.plan) for doc in (eg.predicted, eg.reference)]
        heads = self.plan.config.interpolate()["components"][self.plan.pipe.name]["heads"]
        total = hashlib.sha256(json.dumps(heads, sort_keys=True, default=str).encode())
        total.update(DocBin(docs=docs).to_bytes())
        return total.hexdigest()

    def _scores_of(self, teacher: Teacher) -> dict[str, float | None]:
        """The teacher's main scores on dev, on the student's tokens."""
        gold = dev_examples(self.plan)
        answers, _ = answer_all(teacher, [eg.predicted for eg in gold], self.plan.nlp)
        scores: dict[str, float | None] = {}
        for name, found in answers.items():
            head = self.plan.pipe.heads[name]
            examples = [Example(doc, eg.reference) for doc, eg in zip(found.docs, gold, strict=True)]
            scores[name] = None if head.main_score is None else head.score(examples).get(head.main_score)
        return scores


def has_soft(one: TeacherPass) -> bool:
    """Whether the teacher gives soft targets of any head."""
    return any(found["kind"] is not None for found in one.result()["heads"].values())


def form_in(found: Mapping[str, Any]) -> TargetForm | None:
    """The form of a head's soft targets, as a pass describes it."""
    return None if found["kind"] is None else TargetForm(found["kind"], tuple(found["labels"]), found["temperature"])


def main_scores(heads: Mapping[str, Head], scores: Mapping[str, Any]) -> dict[str, float | None]:
    """The main score of each head that has one."""
    return {key: scores.get(f"{key}_{head.main_score}") for key, head in heads.items() if head.main_score is not None}


def size_of(path: str) -> int:
    """Bytes of a pipeline on disk."""
    folder = Path(path) if Path(path).exists() else get_package_path(path)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
