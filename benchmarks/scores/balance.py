"""All weightings on five sets of tasks, beside a plain sum of the losses and a sum whose weights were tuned on dev.

    python benchmarks/scores/balance.py --data ../shared/data --sets snips hwu64 ewt loud narrow

snips, hwu64 and ewt have two, three and five heads on the encoder of `configs/cpu.cfg`. In "loud" the loss of EWT's
head genre is multiplied by 100. In "narrow" the heads of HWU64 share an encoder of width 16, so that they have to
compete for it. All heads have the weight 1 in "Static" and in all other weightings. "Static, tuned" is the best of
these and of `--trials` draws of weights from 0.1 to 10, judged by the mean of the main scores on dev, with the first
seed.

All trainings of a set have the same number of steps and learn from the same `--docs` docs, drawn from train. These are
few, so that hundreds of trainings take hours: heads are far from what they reach in a full training. Each weighting is
tested against "Static, tuned" on test, head by head, as `mtl compare` tests joint against single training.
"""

import argparse
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import spacy
from runs import load_config, read_docs, set_steps, spread, train_all, write_docs
from score_options import DATA, ROOT, SEEDS, make_parser
from thinc.api import Config

from spacy_mtl.comparison.paired_test import JudgedRuns
from spacy_mtl.comparison.relative_improvement import relative_improvement
from spacy_mtl.comparison.verdict import Pair, judge
from spacy_mtl.experiments.predictions import judged_counts
from spacy_mtl.experiments.run import judged_on
from spacy_mtl.experiments.run_folder import RunFolder

STATIC, TUNED, SELDOM = "Static", "Static, tuned", "NormScaling, every 4"
READER = {"@readers": "spacy_mtl.Corpus.v1", "gold_tokens": True}


@dataclass(frozen=True)
class Setting:
    """A set of tasks.

    data (str): Folder of the corpus.
    config (str): Training config.
    steps (int): Length of each training.
    metrics (Mapping[str, str]): Main score of each head.
    overrides (Mapping[str, Any]): Changes of the config, by dotted names.
    factors (Mapping[str, Mapping[str, float]]): Factors of the classes' losses, by classifier.
    """

    data: str
    config: str
    steps: int
    metrics: Mapping[str, str]
    overrides: Mapping[str, Any]
    factors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


ENCODER = "components.tok2vec.model"
HWU64 = {"scenario": "acc", "action": "acc", "entities": "f"}
GENRES = ("answers", "email", "newsgroup", "reviews", "weblog")
EWT = {"tag": "acc", "pos": "acc", "morph": "acc", "entities": "f", "genre": "macro_f"}
DETACHED = {
    "components.multitask.heads.slots.condition_on": None,
    "components.multitask.heads.slots.consistent_with": None,
}
APART = {"components.multitask.heads.entities.condition_on": None}
SETTINGS = {
    "snips": Setting("snips", "configs/cpu.cfg", 300, {"intent": "acc", "slots": "f"}, DETACHED),
    "hwu64": Setting("hwu64", "benchmarks/configs/compare_hwu64.cfg", 300, HWU64, APART),
    "ewt": Setting("ewt", "configs/tagging.cfg", 250, EWT, {}),
    "loud": Setting("ewt", "configs/tagging.cfg", 150, EWT, {}, {"genre": dict.fromkeys(GENRES, 100.0)}),
    "narrow": Setting("hwu64", "benchmarks/configs/compare_hwu64.cfg", 200, HWU64, APART | {f"{ENCODER}.width": 16}),
}


def weightings(setting: Setting) -> dict[str, dict[str, Any]]:
    """The sections of the weightings, by name: each with its defaults, and with what it can't do without."""
    heads = list(setting.metrics)
    fading = {"@schedules": "decaying.v1", "base_rate": 2.0, "decay": 3.0 / setting.steps}  # from 2 to 0.5
    settings: dict[str, dict[str, Any]] = {
        "DWA": {"window": setting.steps // 10},  # its default is for longer trainings
        "Scheduled": {"schedules": {heads[0]: fading}},
        "Targets": {"targets": dict.fromkeys(heads, 0.95)},
    }
    names = spacy.registry.mtl_weightings.get_all()  # type: ignore[attr-defined]
    own = sorted(
        name.split(".")[1] for name in names if name.startswith("spacy_mtl.") and name != "spacy_mtl.Static.v1"
    )
    found = {name: {"@mtl_weightings": f"spacy_mtl.{name}.v1"} | settings.get(name, {}) for name in own}
    return found | {SELDOM: found["NormScaling"] | {"every": 4}}


def main() -> None:
    parser = make_parser(__doc__, data=DATA, output=ROOT / "training" / "balance", seeds=SEEDS, jobs=1)
    parser.add_argument("--sets", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--weightings", nargs="+", help="only these, such as NormScaling and PCGrad")
    parser.add_argument("--trials", type=int, default=8, help="draws of weights for the tuned sum, beside equal ones")
    parser.add_argument("--steps", type=int, help="steps of all trainings, instead of those of each set")
    parser.add_argument("--docs", type=int, default=2000, help="docs to learn from")
    args = parser.parse_args()
    for name in args.sets:
        print(f"\n## {name}\n\n{compare_weightings(name, args)}", flush=True)


def compare_weightings(name: str, args: argparse.Namespace) -> str:
    """Train what is missing of a set and return its table."""
    setting = SETTINGS[name]
    steps = args.steps or setting.steps
    output = args.output / name
    files = files_of(setting, args.data, output, args.docs)
    wanted = weightings(setting)
    sections = {STATIC: static({}), **{key: wanted[key] for key in args.weightings or wanted}}
    trials = {STATIC: static({})}
    trials |= {f"trial {number}": static(weights) for number, weights in enumerate(draws(setting, args.trials))}
    tried = train(setting, trials, files, output, steps, args.seeds[:1], args.jobs)
    best = max(tried, key=lambda system: dev_score(tried[system], setting))
    systems = sections if best == STATIC else sections | {TUNED: trials[best]}
    found = train(setting, systems, files, output, steps, args.seeds, args.jobs)
    found.setdefault(TUNED, found[STATIC])
    weights = ", ".join(f"{head} {weight:g}" for head, weight in trials[best]["weights"].items())
    return f"{table(setting, found)}\n\nTuned weights: {weights or 'all 1'}."


def files_of(setting: Setting, data: Path, output: Path, n_docs: int) -> dict[str, str]:
    """The files of the splits. Docs to learn from are drawn at random, since corpora are often sorted by a label."""
    files = {split: data / setting.data / f"{split}.spacy" for split in ("train", "dev", "test")}
    drawn = output / f"train-{n_docs}.spacy"
    if not drawn.exists():
        docs = read_docs(files["train"], spacy.blank("en"))
        write_docs(random.Random(0).sample(docs, min(n_docs, len(docs))), drawn)
    return {split: str(path) for split, path in files.items()} | {"train": str(drawn)}


def static(weights: Mapping[str, float]) -> dict[str, Any]:
    return {"@mtl_weightings": "spacy_mtl.Static.v1", "weights": dict(weights)}


def draws(setting: Setting, n: int) -> Iterator[dict[str, float]]:
    """Weights from 0.1 to 10, uniform on a log scale. The draws are always the same."""
    rng = random.Random(0)
    for _ in range(n):
        yield {head: round(10 ** rng.uniform(-1.0, 1.0), 3) for head in setting.metrics}


def train(
    setting: Setting,
    systems: Mapping[str, dict[str, Any]],
    files: Mapping[str, str],
    output: Path,
    steps: int,
    seeds: Sequence[int],
    jobs: int,
) -> dict[str, list[RunFolder]]:
    """Train each weighting with each seed. RETURNS: The folders of the runs by weighting, seed by seed."""
    plan = [(name, seed) for seed in seeds for name in systems]
    configs = [(name, seed, make_config(setting, systems[name], files, steps, seed)) for name, seed in plan]
    folders = train_all(configs, output, jobs)
    found: dict[str, list[RunFolder]] = {name: [] for name in systems}
    for (name, _), folder in zip(plan, folders, strict=True):
        found[name].append(folder)
    return found


def make_config(setting: Setting, section: dict[str, Any], files: Mapping[str, str], steps: int, seed: int) -> Config:
    """The training config of a set with a weighting."""
    paths = {f"paths.{split}": files[split] for split in ("train", "dev")}
    config = load_config(ROOT / setting.config, paths | {"system.seed": seed} | dict(setting.overrides))
    config = fixed_length(config, steps)
    multitask = config["components"]["multitask"]
    multitask["weighting"] = section
    for head, factors in setting.factors.items():
        multitask["heads"][head]["class_weights"] = dict(factors)
    config["training"]["score_weights"] = {
        "multitask_exact": 0.0,
        "multitask_score": 0.0,
        **{f"{head}_{metric}": 1 / len(setting.metrics) for head, metric in setting.metrics.items()},
    }
    readers = {split: READER | {"path": files[split]} for split in ("dev", "test")}
    return judged_on(config.interpolate(), readers)


def fixed_length(config: Config, steps: int) -> Config:
    """A copy of the config for this number of steps, evaluated four times, whatever its learning rate is."""
    changed = config.copy()
    if isinstance(changed["training"]["optimizer"]["learn_rate"], Mapping):
        changed = set_steps(changed, steps)
        schedule = changed["training"]["optimizer"]["learn_rate"]
        schedule["warmup_steps"] = min(schedule["warmup_steps"], steps // 10)
    changed["training"].update(max_steps=steps, max_epochs=0, eval_frequency=max(steps // 4, 1))
    return changed


def dev_score(folders: Sequence[RunFolder], setting: Setting) -> float:
    """The mean of the main scores on dev."""
    scores = [folder.result()["scores"]["dev"] for folder in folders]
    return mean(score[f"{head}_{metric}"] for score in scores for head, metric in setting.metrics.items())


def table(setting: Setting, found: Mapping[str, list[RunFolder]]) -> str:
    """Each weighting's scores on test, its Δm against the plain sum, and its verdict against the tuned sum."""
    nlp = spacy.load(found[STATIC][0].model)
    heads = nlp.get_pipe("multitask").heads
    runs = {name: {head: judged(folders, heads, head) for head in setting.metrics} for name, folders in found.items()}
    columns = [
        "weighting",
        *(f"{head} {metric}" for head, metric in setting.metrics.items()),
        "mean",
        "Δm",
        "better",
        "worse",
    ]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, folders in found.items():
        scores = [folder.result()["scores"]["test"] for folder in folders]
        by_head = [[100 * score[f"{head}_{metric}"] for score in scores] for head, metric in setting.metrics.items()]
        means = [mean(values) for values in zip(*by_head, strict=True)]
        delta = relative_improvement([(runs[name][head], runs[STATIC][head]) for head in setting.metrics]).value
        better, worse = verdicts(setting, name, runs)
        cells = [*map(spread, by_head), spread(means), "" if name == STATIC or delta is None else f"{100 * delta:+.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {better} | {worse} |")
    return "\n".join(lines)


def judged(folders: Sequence[RunFolder], heads: Mapping[str, Any], head: str) -> JudgedRuns:
    """What a head counted on test."""
    counts = np.stack([judged_counts(folder.path, "test")[head] for folder in folders])
    return JudgedRuns(counts, heads[head].main_score_of)


def verdicts(setting: Setting, name: str, runs: Mapping[str, Mapping[str, JudgedRuns]]) -> tuple[str, str]:
    """RETURNS: The heads that are shown to be better than with tuned weights, and those that are shown to be worse."""
    if name == TUNED:
        return "", ""
    pairs = [
        Pair(
            head=head,
            system=name,
            baseline=TUNED,
            split="test",
            metric=f"{head}_{metric}",
            runs=runs[name][head],
            baseline_runs=runs[TUNED][head],
            scores=runs[name][head].scores.tolist(),
            baseline_scores=runs[TUNED][head].scores.tolist(),
            support=runs[name][head].counts.shape[1],
        )
        for head, metric in setting.metrics.items()
    ]
    found = judge(pairs)
    return tuple(  # type: ignore[return-value]
        ", ".join(f"{one.head} {100 * (one.difference or math.nan):+.1f}" for one in found if one.verdict == verdict)
        for verdict in ("helped", "hurt")
    )


if __name__ == "__main__":
    main()
