"""What the benchmarks of scores share: runs of `spacy_mtl.experiments` in folders, and tables of mean and spread."""

import copy
import json
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import Config

from spacy_mtl.experiments import run as experiments
from spacy_mtl.experiments.engine import EngineSettings, make_local_engine
from spacy_mtl.experiments.finish_runs import finish_runs
from spacy_mtl.experiments.output_folder import claim
from spacy_mtl.experiments.run_folder import RunFolder
from spacy_mtl.gold import unannotated

# the names and the values of one row of results: {"system": "alone", "seed": 0, "slots_f": 93.1}
RowT = dict[str, Any]
MARKER, RESULTS = "benchmark.lock", "results.jsonl"


class Run(NamedTuple):
    """One training and what is measured of it.

    key (dict[str, Any]): What tells it from the others, such as system and seed.
    config (Config): A complete training config.
    evaluate (Callable): The trained pipeline -> scores by name, in per cent.
    code (Path | None): Python file with functions that the config registers.
    """

    key: RowT
    config: Config
    evaluate: Callable[[Language], dict[str, float]]
    code: Path | None = None

    @property
    def name(self) -> str:
        """A name for its folder."""
        return "-".join(re.sub(r"[^\w.]+", "_", str(value)) for name, value in self.key.items() if name != "seed")


def run_all(runs: Iterable[Run], output: Path, *, jobs: int = 1, use_gpu: int = -1) -> list[RowT]:
    """Train what is not finished yet, and evaluate what has no row in `output/results.jsonl`.

    jobs (int): Number of trainings at the same time.
    RETURNS: The rows, in the order of the runs.
    """
    wanted = list(runs)
    folders: dict[int, RunFolder] = {}
    for code in dict.fromkeys(run.code for run in wanted):
        own = {index: run for index, run in enumerate(wanted) if run.code == code}
        configs = [(run.name, int(run.key["seed"]), run.config) for run in own.values()]
        folders |= zip(own, train_all(configs, output, jobs, use_gpu, code=code), strict=True)
    known = {row["run"]: row for row in read_rows(output)}
    rows = []
    for index, run in enumerate(wanted):
        folder = folders[index]
        row = known.get(folder.path.name)
        if row is None:
            row = {"run": folder.path.name} | run.key | run.evaluate(spacy.load(folder.model))
            with (output / RESULTS).open("a", encoding="utf8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def read_rows(output: Path) -> list[RowT]:
    """The rows that were written so far."""
    path = output / RESULTS
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()] if path.exists() else []


def train_all(
    configs: Sequence[tuple[str, int, Config]],
    output: Path,
    jobs: int = 1,
    use_gpu: int = -1,
    *,
    code: Path | None = None,
) -> list[RunFolder]:
    """Train configs, each with a name and its seed, in folders under `output/runs`. Stops the program if one fails.

    code (Path | None): Python file with functions that the configs register.
    """
    (output / "runs").mkdir(parents=True, exist_ok=True)
    with claim(output / "runs", MARKER) as inherited:
        engine = make_local_engine(EngineSettings(jobs, use_gpu, code, inherited))
        runs = [experiments.Run(name, (), seed, config.interpolate(), code) for name, seed, config in configs]
        folders = [RunFolder(run, output / "runs" / run.name) for run in runs]
        finish_runs(engine, folders, jobs=jobs)
    failed = [folder for folder in folders if not folder.is_finished]
    if failed:
        raise SystemExit(f"{failed[0].path.name}: training failed\n{failed[0].last_words()}")
    return folders


def train(config: Config, output: Path, name: str) -> Path:
    """Train one config. RETURNS: the model that is best on dev."""
    seed = config.interpolate()["training"]["seed"]
    (folder,) = train_all([(name, int(seed), config)], output)
    return folder.model


def load_config(path: Path, overrides: Mapping[str, Any]) -> Config:
    """Read a config, with overrides by dotted names."""
    return spacy.util.load_config(path, overrides=dict(overrides), interpolate=False)


def set_steps(config: Config, steps: int) -> Config:
    """A copy with another length of the training, evaluated eight times."""
    config = copy.deepcopy(config)
    config["training"].update(max_steps=steps, eval_frequency=max(steps // 8, 1))
    optimizer = config["training"]["optimizer"]
    for settings in (optimizer, *optimizer.get("groups", {}).values()):
        settings["learn_rate"]["total_steps"] = steps
    return config


def annotated(nlp: Language, path: Path) -> list[Example]:
    """Gold docs, and what the pipeline makes of their tokens."""
    gold = read_docs(path, nlp)
    predicted = nlp.pipe(unannotated(doc, nlp.vocab) for doc in gold)
    return [Example(*pair) for pair in zip(predicted, gold, strict=True)]


def read_docs(path: Path, nlp: Language) -> list[Doc]:
    """All docs of a .spacy file."""
    return list(DocBin().from_disk(path).get_docs(nlp.vocab))


def write_docs(docs: Iterable[Doc], path: Path) -> Path:
    """Write a .spacy file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    DocBin(docs=docs).to_disk(path)
    return path


def merge_alone(row: RowT) -> RowT:
    """Heads trained alone, each a system "HEAD alone", share one line."""
    return row | {"system": re.sub(r"\w+ alone$", "each alone", row["system"])}


def table(rows: Sequence[RowT], by: str, names: Sequence[str]) -> str:
    """A markdown table: one line for each value of `by`, mean and standard deviation over the rows that have it."""
    lines = [f"| {by} | runs | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for value in dict.fromkeys(row[by] for row in rows):
        mine = [row for row in rows if row[by] == value]
        cells = [spread([row[name] for row in mine if name in row]) for name in names]
        lines.append(f"| {value} | {len(mine)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation; empty without values."""
    if not values:
        return ""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {deviation:.2f}"
