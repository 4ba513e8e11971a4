"""A new task on a trained pipeline: what it costs the old heads, and how good the new head becomes.

    python benchmarks/scores/forgetting.py --old ../shared/data/ewt --new ../shared/data/wnut17

`old` is the encoder of `configs/tagging.cfg` with tags, parts of speech and morphology, trained on the old corpus.
Entities of the new corpus are then added to it: by plain fine-tuning, with the old heads kept (`keep`), with a share of
old docs (`replay`), with both, with a frozen encoder, and with a frozen encoder and adapters. `joint` learns all four
heads from the start, from both corpora in proportion to their sizes, in as many steps as the two trainings together.
`old` and `joint` are chosen on dev by the mean of their heads, the others by the new head alone. All are scored on gold
tokens of the test sets. "lost" is the mean loss of the old heads against `old` with the same seed.
"""

import argparse
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from one_config import evaluate
from runs import Run, load_config, run_all, table, train_all
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.language import Language
from thinc.api import Config

CONFIG = ROOT / "configs" / "tagging.cfg"
OLD, JOINT, FINE_TUNED, KEEP, REPLAY = "old", "joint", "fine-tuned", "keep", "replay"
BOTH, FROZEN, ADAPTERS = "keep and replay", "frozen", "frozen, adapters"
ADDED = [FINE_TUNED, KEEP, REPLAY, BOTH, FROZEN, ADAPTERS]
OLD_HEADS, NEW_HEAD = ("tag", "pos", "morph"), "entities"
OLD_SCORES, NEW_SCORE = ("tag_acc", "pos_acc", "morph_acc"), "entities_f"
N_EVALUATIONS = 8


def main() -> None:
    parser = make_parser(
        __doc__,
        output=ROOT / "training" / "forgetting",
        seeds=SEEDS,
        steps=1200,
        docs=0,
        systems=[*ADDED, JOINT],
        jobs=1,
    )
    parser.add_argument("--old", type=Path, default=DATA / "ewt", help="folder of the old corpus")
    parser.add_argument("--new", type=Path, default=DATA / "wnut17", help="folder of the new corpus, with entities")
    parser.add_argument("--old-steps", type=int, default=3000, help="steps of the training of the old pipeline")
    parser.add_argument("--keep", type=float, default=1.0, help="weight of each old head in the systems with keep")
    parser.add_argument("--share", type=float, default=0.2, help="share of old docs in the systems with replay")
    parser.add_argument("--width", type=int, default=24, help="width of the adapters")
    args = parser.parse_args()
    first = [old_run(args, seed) for seed in args.seeds]
    rows = run_all(first, args.output, jobs=args.jobs)
    folders = train_all([(run.name, run.key["seed"], run.config) for run in first], args.output, args.jobs)
    models = {run.key["seed"]: folder.model for run, folder in zip(first, folders, strict=True)}
    rows += run_all(plan(args, models), args.output, jobs=args.jobs)
    before = {row["seed"]: row for row in rows if row["system"] == OLD}
    for row in rows:
        row["lost"] = sum(before[row["seed"]][name] - row[name] for name in OLD_SCORES) / len(OLD_SCORES)
    print(table(rows, "system", [*OLD_SCORES, "lost", NEW_SCORE]))


def old_run(args: argparse.Namespace, seed: int) -> Run:
    """The training of the old pipeline."""
    config = base(args, seed, OLD_HEADS, {"old": 1.0}, steps=args.old_steps)
    return Run(key_of(args, OLD, seed), config, lambda nlp: scores_of(args, nlp))


def plan(args: argparse.Namespace, models: Mapping[int, Path]) -> Iterator[Run]:
    """The trainings with the new head, seed by seed."""
    for seed in args.seeds:
        for system in args.systems:
            config = joint(args, seed) if system == JOINT else added(args, system, seed, models[seed])
            yield Run(key_of(args, system, seed), config, lambda nlp: scores_of(args, nlp))


def key_of(args: argparse.Namespace, system: str, seed: int) -> dict[str, Any]:
    """What tells a run from others: the settings that it depends on."""
    key = {"system": system, "seed": seed, "old_steps": args.old_steps, "docs": args.docs}
    if system != OLD:
        key["steps"] = args.steps
    if system in (KEEP, BOTH):
        key["keep"] = args.keep
    if system in (REPLAY, BOTH):
        key["share"] = args.share
    if system == ADAPTERS:
        key["width"] = args.width
    return key


def joint(args: argparse.Namespace, seed: int) -> Config:
    """All heads from the start."""
    config = base(
        args,
        seed,
        [*OLD_HEADS, NEW_HEAD],
        {"old": 1.0, "new": 1.0},
        steps=args.old_steps + args.steps,
        by="Proportional",
    )
    config["training"]["score_weights"] = {"multitask_score": 1.0}
    return config


def added(args: argparse.Namespace, system: str, seed: int, model: Path) -> Config:
    """The new head, in a training that begins from the old pipeline."""
    replayed = {"old": args.share} if system in (REPLAY, BOTH) else {}
    config = base(
        args, seed, [*OLD_HEADS, NEW_HEAD], {"new": 1.0 - sum(replayed.values())} | replayed, steps=args.steps
    )
    config["training"]["score_weights"] = {"multitask_score": 0.0, NEW_SCORE: 1.0}
    start = {"init_from": str(model)}
    config["initialize"]["components"]["multitask"] = start
    if system in (KEEP, BOTH):
        start["keep"] = dict.fromkeys(OLD_HEADS, args.keep)  # type: ignore[assignment]
    if system in (FROZEN, ADAPTERS):
        config["components"]["multitask"]["model"]["tok2vec"]["width"] = config["components"]["tok2vec"]["model"][
            "width"
        ]
        config["components"]["tok2vec"] = {"source": str(model)}
        config["training"]["frozen_components"] = config["training"]["annotating_components"] = ["tok2vec"]
    if system == ADAPTERS:
        sharing = {"@mtl_sharing": "spacy_mtl.Adapters.v1", "by": "head", "width": args.width}
        config["components"]["multitask"]["model"]["sharing"] = sharing
    return config


def base(
    args: argparse.Namespace,
    seed: int,
    heads: Any,
    corpora: Mapping[str, float],
    *,
    steps: int,
    by: str = "Uniform",
) -> Config:
    """The config with these heads, which draws docs of the corpora by their weights, and is evaluated on both.

    by (str): The sampler.
    """
    config = load_config(CONFIG, {"system.seed": seed})
    multitask = config["components"]["multitask"]
    multitask["heads"] = {key: multitask["heads"][key] for key in heads}
    multitask["weighting"]["weights"] = dict.fromkeys(heads, 1.0)
    own = {"old": [key for key in heads if key in OLD_HEADS], "new": [key for key in heads if key == NEW_HEAD]}
    folders = {"old": args.old, "new": args.new}
    reader = config["corpora"]["train"] | {"gold_tokens": True}
    labels = {key: deepcopy(own[key]) for key in own if own[key]}
    train = {
        key: {"heads": labels[key], "weight": weight, "reader": reader | corpus(args, folders[key], "train")}
        for key, weight in corpora.items()
    }
    dev = {key: {"heads": labels[key], "reader": reader | corpus(args, folders[key], "dev")} for key in labels}
    several = {"@readers": "spacy_mtl.MultiCorpus.v1", "seed": seed}
    config["corpora"]["train"] = several | {"corpora": train, "sampler": {"@mtl_samplers": f"spacy_mtl.{by}.v1"}}
    config["corpora"]["dev"] = several | {"corpora": dev}
    every = max(steps // N_EVALUATIONS, 1)
    config["training"].update(max_epochs=-1, max_steps=steps, eval_frequency=every)
    config["training"]["score_weights"] = {"multitask_score": 1.0}
    return config


def corpus(args: argparse.Namespace, folder: Path, split: str) -> dict[str, Any]:
    """What the reader of a split needs."""
    return {"path": str(folder / f"{split}.spacy"), "limit": args.docs}


def scores_of(args: argparse.Namespace, nlp: Language) -> dict[str, float]:
    """The test scores of the heads that the pipeline has, in per cent."""
    found = evaluate(nlp, args.old / "test.spacy", OLD_SCORES)
    if NEW_HEAD in nlp.get_pipe("multitask").heads:  # type: ignore[attr-defined]
        found |= evaluate(nlp, args.new / "test.spacy", [NEW_SCORE])
    return found


if __name__ == "__main__":
    main()
