"""Train the systems of a comparison, judge them, and write `report.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

from thinc.api import Config

from ..experiments.engine import EngineSettings, find_engine
from ..experiments.finish_runs import finish_runs
from ..experiments.gold_counts import GoldCounts, docs_with_gold
from ..experiments.output_folder import check_output, claim
from ..experiments.run_folder import RunFolder
from ..experiments.versions import find_versions
from .cost import measure
from .judgement import Judgement
from .paired_test import METHOD
from .planning import Plan, Settings, make_plan
from .result import Comparison, Cost, Failure, HeadSummary, RunSummary, write_comparison
from .systems import JOINT, find_tasks
from .verdict import ALPHA

MARKER = "compare.lock"
RUNS, REPORT = "runs", "report.json"
JOB = "cost.json"


@dataclass(frozen=True)
class Running:
    """How the runs are carried out, which changes nothing in the result.

    engine (str): Name in the registry `mtl_engines`. jobs (int): Number of runs at the same time.
    use_gpu (int): Number of the GPU, -1 for the CPU. costs (bool): Measure speed and memory, too.
    """

    engine: str = "local"
    jobs: int = 1
    use_gpu: int = -1
    costs: bool = True


def compare(config: Config, output: Path, settings: Settings, running: Running, *, name: str) -> Comparison:
    """Compare joint with single training.

    config (Config): A training config, not interpolated.
    output (Path): The folder of the comparison: new, empty, or from an earlier start, whose finished runs are used.
    name (str): File name of the config, for the report.
    RAISES ValueError: Something is wrong with config, data or folder; then nothing was trained.
    """
    check_output(output, MARKER)
    make_engine = find_engine(running.engine)
    plan = make_plan(config, settings)
    with claim(output, MARKER) as inherited:
        engine = make_engine(EngineSettings(running.jobs, running.use_gpu, settings.code, inherited))
        folders = [RunFolder(run, output / RUNS / run.name) for run in plan.runs]
        finish_runs(engine, folders, jobs=running.jobs)
        costs = find_costs(plan, folders, output / JOB, running, settings.code)
        result = put_together(plan, folders, output, name=name, budget=settings.budget.value, costs=costs)
        write_comparison(result, output / REPORT)
    return result


def put_together(
    plan: Plan, folders: Sequence[RunFolder], output: Path, *, name: str, budget: str, costs: list[Cost]
) -> Comparison:
    """The contents of the report."""
    runs = [summarize(folder, output) for folder in folders]
    judgement = Judgement(plan, folders)
    return Comparison(
        title=Path(name).stem,
        config=name,
        lang=plan.lang,
        heads=summarize_heads(plan),
        corpora=summarize_corpora(plan),
        budget={"unit": budget, "steps": plan.steps},
        seeds=plan.seeds,
        method=METHOD,
        alpha=ALPHA,
        differences=judgement.differences(),
        relative_improvement=judgement.relative_improvements(),
        costs=costs,
        runs=runs,
        failures=[Failure(run.name, run.message) for run in runs if run.status == "failed"],
        versions=find_versions(),
        date=date.today().isoformat(),
    )


def summarize(folder: RunFolder, output: Path) -> RunSummary:
    """What became of a run."""
    run, finished = folder.run, folder.is_finished
    result = folder.result() if finished else {"scores": {}, "cost": {}}
    return RunSummary(
        name=folder.path.name,
        system=run.system,
        heads=list(run.heads),
        seed=run.seed,
        folder=folder.path.relative_to(output).as_posix(),
        status="finished" if finished else "failed",
        message="" if finished else folder.last_words(),
        scores=result["scores"],
        cost=result["cost"],
    )


def summarize_heads(plan: Plan) -> list[HeadSummary]:
    """The tasks, and how much gold they have."""
    whole = plan.whole
    sections = whole.config["components"][whole.component]["heads"] or {}
    stays = {system.tasks[0]: system.alone_with for system in plan.systems if len(system.tasks) == 1}
    return [
        HeadSummary(
            name=key,
            kind=sections.get(key, {}).get("@mtl_heads", type(whole.heads[key]).__name__),
            metric=f"{key}_{whole.heads[key].main_score}",
            alone_with=list(stays.get(key, [other for other in whole.heads if other != key])),
            n_train=docs_with_gold(whole.train, [key]),
            n_dev=docs_with_gold(whole.dev, [key]),
            n_test=0 if plan.test is None else docs_with_gold(plan.test, [key]),
        )
        for key in find_tasks(whole.heads)
    ]


def summarize_corpora(plan: Plan) -> dict[str, Any]:
    """Split -> corpus -> number of docs and words, and for each head of docs with its gold and annotated units."""
    splits: dict[str, Mapping[str, GoldCounts]] = {"train": plan.whole.train, "dev": plan.whole.dev}
    if plan.test is not None:
        splits["test"] = plan.test
    return {
        split: {
            corpus: {
                "docs": found.docs.total(),
                "words": found.words.total(),
                "heads": {
                    key: {"docs": found.docs_for([key]), "units": found.units[key] if split == "train" else None}
                    for key in plan.whole.heads
                },
            }
            for corpus, found in counts.items()
        }
        for split, counts in splits.items()
    }


def find_costs(plan: Plan, folders: Sequence[RunFolder], job: Path, running: Running, code: Path | None) -> list[Cost]:
    """The costs of the joint pipeline and of those that are trained alone, of the first seed with results of all."""
    wanted = [system.name for system in plan.systems if system.name == JOINT or len(system.tasks) == 1]
    by_seed = {
        seed: {f.run.system: f for f in folders if f.run.seed == seed and f.is_finished and f.run.system in wanted}
        for seed in plan.seeds
    }
    found = next((parts for parts in by_seed.values() if len(parts) == len(wanted)), None)
    if found is None:
        return []
    speed: dict[str, float] = {}
    memory: dict[str, float] = {}
    if running.costs:
        docs = found[JOINT].path / "dev.spacy"
        models = {name: folder.model for name, folder in found.items()}
        speed, memory = measure(models, docs, job, use_gpu=running.use_gpu, code=code)
    seconds = {name: mean_seconds(folders, name) for name in wanted}
    singles = [name for name in wanted if name != JOINT]
    sizes = {name: folder.result()["cost"] for name, folder in found.items()}
    groups = {name: [name] for name in wanted} | {"single": singles}
    return [
        Cost(
            name,
            sum(sizes[one]["parameters"] for one in group),
            sum(sizes[one]["bytes"] for one in group),
            sum(seconds[one] for one in group),
            speed.get(name),
            memory.get(name),
        )
        for name, group in groups.items()
    ]


def mean_seconds(folders: Sequence[RunFolder], system: str) -> float:
    """Training time of a system, mean over its finished runs."""
    return mean(f.result()["cost"]["train_seconds"] for f in folders if f.run.system == system and f.is_finished)
