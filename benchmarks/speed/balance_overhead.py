"""Cost of each weighting and of each sharing layer: speed of training beside `Static` without a sharing layer.

    python benchmarks/speed/balance_overhead.py --data ../shared/data
    python benchmarks/speed/balance_overhead.py --data ../shared/data --tasks snips --model FOLDER_OF_MINILM

SNIPS with `configs/cpu.cfg` (two heads) and EWT with `configs/tagging.cfg` (five heads), as they are in training, but
for the weighting or the sharing layer; with `--model`, their heads in `configs/transformer_fast.cfg`. One process and
one thread a task. All systems are kept in memory, which takes 0.4 GB each with MiniLM; `--only` names some.

All take turns of a few steps, each round in another order. A ratio is the CPU time of a turn over that of
`Static` in the same round, as a median over all rounds with the range of the middle half of them. `Static, again` shows
how exact that is. The tables are printed as markdown; results go to docs/benchmarks.
"""

import argparse
import json
import time
from collections.abc import Callable
from itertools import cycle, islice
from statistics import median, quantiles
from typing import Any

from alternate import in_turn, run_with_threads, write_results
from spacy.language import Language
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.util import load_config, registry
from speed_options import DATA, ROOT, make_parser
from thinc.api import Config

import spacy_mtl.registry  # noqa: F401

TASKS = {"snips": ROOT / "configs" / "cpu.cfg", "ewt": ROOT / "configs" / "tagging.cfg"}
TRANSFORMER = ROOT / "configs" / "transformer_fast.cfg"
# docs to initialise and to learn from, and how many batches of them are learned again and again
N_DOCS = 2000
N_BATCHES = 40
BASE = "Static"
STATIC_AGAIN = "Static, again"
SELDOM = "NormScaling, every 4"
SHARING = {
    "Adapters": {"by": "head"},
    "CrossStitch": {},
    "MMoE": {},
    "PLE (CGC)": {},
    "PLE, two levels": {"n_levels": 2},
}
TARGET = 0.9
HEADER = "| {} | words/s | times the time of `Static` | parameters added |\n|---|---:|---:|---:|"


def main() -> None:
    parser = make_parser(__doc__, data=DATA, model=None, rounds=60, steps=3)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--only", nargs="+", help="weightings and sharing layers to measure; all by default")
    parser.add_argument("--child", choices=list(TASKS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.child, args)))
        return
    arguments = ["--data", args.data, "--rounds", args.rounds, "--steps", args.steps]
    arguments += ["--model", args.model] if args.model else []
    arguments += ["--only", *args.only] if args.only else []
    results = {task: run_with_threads(__file__, 1, [*arguments, "--child", task]) for task in args.tasks}
    for task, rows in results.items():
        print_table(task, rows)
    write_results("balance_overhead_transformer" if args.model else "balance_overhead", results)


def systems_of(heads: list[str]) -> dict[str, dict[str, Any]]:
    """What is measured: changes of the component's config, by name."""
    weightings = {name.split(".")[1]: {"@mtl_weightings": name} for name in sorted(registry.mtl_weightings.get_all())}
    weightings["Targets"]["targets"] = dict.fromkeys(heads, TARGET)
    # without a schedule it is Static; a constant one costs as much as any
    weightings["Scheduled"]["schedules"] = dict.fromkeys(heads, 1.0)
    own = {name: {"weighting": weighting} for name, weighting in weightings.items()}
    # how far two of the same are apart is the error of the measurement
    systems = {BASE: own.pop(BASE), STATIC_AGAIN: {"weighting": weightings[BASE]}, **own}
    systems[SELDOM] = {"weighting": weightings["NormScaling"] | {"every": 4}}
    for name, settings in SHARING.items():
        maker = name.replace(",", " ").split()[0]
        systems[name] = {"sharing": {"@mtl_sharing": f"spacy_mtl.{maker}.v1", **settings}}
    return systems


def measure(task: str, args: argparse.Namespace) -> dict[str, Any]:
    """Train all of them in turn, some steps in each round, with the same batches."""
    heads = list(load_config(TASKS[task])["components"]["multitask"]["heads"])
    systems = {
        name: changes for name, changes in systems_of(heads).items() if not args.only or name in (BASE, *args.only)
    }
    learners = {name: Learner(task, changes, args) for name, changes in systems.items()}
    seconds = in_turn(
        {name: learner.prepare for name, learner in learners.items()},
        rounds=args.rounds,
        clock=time.process_time,
        shuffle=True,
    )
    base = learners[BASE]
    return {name: describe(seconds[name], seconds[BASE], learner, base) for name, learner in learners.items()}


class Learner:
    """A pipeline in training, a few batches at a time."""

    def __init__(self, task: str, changes: dict[str, Any], args: argparse.Namespace) -> None:
        self.nlp: Language = init_nlp(make_config(task, changes, args))
        settings = registry.resolve(self.nlp.config.interpolate()["training"])
        self.drop, self.optimizer = settings["dropout"], settings["optimizer"]
        corpus = registry.resolve(self.nlp.config.interpolate()["corpora"])["train"]
        batches = list(islice(settings["batcher"](corpus(self.nlp)), N_BATCHES))
        self.words_per_turn = args.steps * sum(len(eg.predicted) for batch in batches for eg in batch) / len(batches)
        self.batches, self.n_steps = cycle(batches), args.steps

    def prepare(self) -> Callable[[], object]:
        """Get what trains on the next batches."""
        batches = list(islice(self.batches, self.n_steps))
        return lambda: self.learn(batches)

    def learn(self, batches: list[list[Example]]) -> None:
        """Train on these batches."""
        for batch in batches:
            self.nlp.update(batch, drop=self.drop, sgd=self.optimizer, losses={})
            self.optimizer.step_schedules()

    @property
    def n_parameters(self) -> int:
        """Number of parameters of the component, without those of the weighting."""
        return sum(self.nlp.get_pipe("multitask").parameter_counts.values())


def make_config(task: str, changes: dict[str, Any], args: argparse.Namespace) -> Config:
    """The task's config, or its heads in that of the transformer, with the changes."""
    train = str(args.data / task / "train.spacy")
    overrides: dict[str, Any] = {"paths.train": train, "paths.dev": train, "corpora.train.limit": N_DOCS}
    config = load_config(TASKS[task], overrides)
    if args.model:
        multitask = config["components"]["multitask"]
        config = load_config(TRANSFORMER, overrides | {"paths.transformer": args.model})
        config["components"]["multitask"] |= {name: multitask[name] for name in ("heads", "weighting")}
        config["corpora"]["train"]["gold_tokens"] = True
    multitask = config["components"]["multitask"]
    multitask["weighting"] = changes.get("weighting", multitask["weighting"])
    multitask["model"]["sharing"] = changes.get("sharing")
    return config


def describe(seconds: list[float], of_base: list[float], learner: Learner, base: Learner) -> dict[str, Any]:
    """Words per second of CPU time, this time as a multiple of that of `Static`, and parameters added."""
    ratios = [own / others for own, others in zip(seconds, of_base, strict=True)]
    lower, _, upper = quantiles(ratios, n=4)
    return {
        "words_per_second": learner.words_per_turn / median(seconds),
        "time": {"median": median(ratios), "lower_quartile": lower, "upper_quartile": upper},
        "parameters_added": learner.n_parameters - base.n_parameters,
    }


def print_table(task: str, rows: dict[str, Any]) -> None:
    """Print a row for each weighting and sharing layer, the cheapest first."""
    print(HEADER.format(task))
    for name, row in sorted(rows.items(), key=lambda item: item[1]["time"]["median"]):
        ratio = row["time"]
        spread = f"{ratio['median']:.3f} ({ratio['lower_quartile']:.3f} to {ratio['upper_quartile']:.3f})"
        print(f"| {name} | {row['words_per_second']:,.0f} | {spread} | {row['parameters_added']:,} |")


if __name__ == "__main__":
    main()
