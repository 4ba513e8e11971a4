"""What the benchmarks of scores share: trainings that can be taken up again, and tables of mean and spread."""

import copy
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import Config

from spacy_mtl.gold import unannotated

# the names and the values of one row of results: {"system": "alone", "seed": 0, "slots_f": 93.1}
RowT = dict[str, Any]


class Run(NamedTuple):
    """One training and what is measured of it.

    key (dict[str, Any]): What tells it from the others, such as system and seed.
    config (Config): A complete training config.
    evaluate (Callable): The trained pipeline -> scores by name, in per cent.
    """

    key: RowT
    config: Config
    evaluate: Callable[[Language], dict[str, float]]

    @property
    def name(self) -> str:
        """A name for its folder."""
        return "-".join(re.sub(r"[^\w.]+", "_", str(value)) for value in self.key.values())


def run_all(runs: Iterable[Run], output: Path, *, part: str = "1/1") -> list[RowT]:
    """Train and evaluate what `output/results*.jsonl` does not have yet.

    part (str): "1/2" for the first half of the runs, so that two processes can share them.
    RETURNS: The rows of all parts.
    """
    output.mkdir(parents=True, exist_ok=True)
    mine, parts = map(int, part.split("/"))
    log = output / f"results-{mine}.jsonl"
    for run in list(runs)[mine - 1 :: parts]:
        if any(run.key.items() <= row.items() for row in read_rows(output)):
            continue
        model = train(run.config, output / run.name)
        row = run.key | run.evaluate(spacy.load(model))
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
    return read_rows(output)


def read_rows(output: Path) -> list[RowT]:
    """The rows that were written so far."""
    files = sorted(output.glob("results-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def train(config: Config, output: Path) -> Path:
    """Run `spacy train`, on the GPU whose number is in the environment variable SPACY_MTL_GPU if there is one.

    RETURNS: the model that is best on dev. Stops the program if it fails.
    """
    output.mkdir(parents=True, exist_ok=True)
    path = output / "config.cfg"
    config.to_disk(path)
    with (output / "train.log").open("w", encoding="utf8") as log:
        command = [sys.executable, "-m", "spacy", "train", str(path), "--output", str(output)]
        command += ["--gpu-id", os.environ.get("SPACY_MTL_GPU", "-1")]
        code = subprocess.run(command, check=False, stdout=log, stderr=subprocess.STDOUT).returncode
    if code:
        raise SystemExit(f"{output.name}: training failed, see {output / 'train.log'}")
    return output / "model-best"


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
