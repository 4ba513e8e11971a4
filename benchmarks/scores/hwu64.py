"""HWU64: scenario, action and entities on one encoder, and each alone on an encoder of the same size.

    python benchmarks/scores/hwu64.py --data ../shared/data/hwu64
    python benchmarks/scores/hwu64.py --data ../shared/data/hwu64 --encoder transformer --transformer all-MiniLM-L6-v2

The settings are those of `configs/cpu.cfg`, or of `configs/transformer_fast.cfg`, for as many steps. Each model is
chosen on dev and scored on test, on gold tokens.
"""

import argparse
from collections.abc import Iterator
from typing import Any

from one_config import evaluate
from runs import Run, load_config, merge_alone, run_all, set_steps, table
from score_options import DATA, ROOT, SEEDS, make_parser
from thinc.api import Config

CONFIGS = {"CNN": ROOT / "configs" / "cpu.cfg", "transformer": ROOT / "configs" / "transformer_fast.cfg"}
CLASSIFIER = {"@mtl_heads": "spacy_mtl.DocClassifier.v1"}
HEADS: dict[str, dict[str, Any]] = {
    "scenario": CLASSIFIER | {"label_prefix": "scenario="},
    "action": CLASSIFIER | {"label_prefix": "action="},
    "entities": {"@mtl_heads": "spacy_mtl.EntityRecognizer.v1"},
}
SCORES = {"scenario": "scenario_acc", "action": "action_acc", "entities": "entities_f"}
WEIGHTS = {"scenario": 1.0, "action": 1.0, "entities": 4.0}


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA / "hwu64",
        output=ROOT / "training" / "hwu64",
        transformer=None,
        seeds=SEEDS,
        steps=2400,
        jobs=1,
    )
    parser.add_argument("--encoder", choices=CONFIGS, default="CNN")
    parser.add_argument("--systems", nargs="+", default=["together", *HEADS], choices=["together", *HEADS])
    args = parser.parse_args()
    rows = run_all(plan(args), args.output, jobs=args.jobs)
    print(table([merge_alone(row) for row in rows], "system", [*SCORES.values(), "multitask_exact"]))


def plan(args: argparse.Namespace) -> Iterator[Run]:
    """The trainings, seed by seed."""
    for seed in args.seeds:
        for system in args.systems:
            together = system == "together"
            heads = list(HEADS) if together else [system]
            name = system if together else f"{system} alone"
            wanted = [*(SCORES[head] for head in heads), *(["multitask_exact"] if together else [])]
            yield Run(
                {"system": f"{args.encoder}, {name}", "seed": seed, "steps": args.steps},
                make_config(args, heads, seed=seed),
                lambda nlp, wanted=wanted: evaluate(nlp, args.data / "test.spacy", wanted),
            )


def make_config(args: argparse.Namespace, heads: list[str], *, seed: int) -> Config:
    """The encoder's config with these heads."""
    paths = {f"paths.{split}": str(args.data / f"{split}.spacy") for split in ("train", "dev")}
    if args.encoder == "transformer":
        paths["paths.transformer"] = args.transformer
    config = set_steps(load_config(CONFIGS[args.encoder], paths | {"system.seed": seed}), args.steps)
    multitask = config["components"]["multitask"]
    multitask["heads"] = {name: dict(HEADS[name]) for name in heads}
    if len(heads) > 1:
        multitask["heads"]["entities"]["condition_on"] = ["scenario", "action"]
    multitask["weighting"]["weights"] = {name: WEIGHTS[name] for name in heads}
    config["training"]["score_weights"] = {SCORES[name]: 1 / len(heads) for name in heads}
    return config


if __name__ == "__main__":
    main()
