"""HWU64: scenario, action and entities on one encoder, and each alone on an encoder of the same size.

    python benchmarks/hwu64.py --data ../shared/data/hwu64
    python benchmarks/hwu64.py --data ../shared/data/hwu64 --encoder transformer --transformer all-MiniLM-L6-v2

The settings are those of `configs/cpu.cfg`, or of `configs/transformer_fast.cfg`, for as many steps. Each model is
chosen on dev and scored on test, on gold tokens.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alternate import DATA
from runs import Run, load_config, merge_alone, run_all, set_steps, table
from seeds import evaluate
from thinc.api import Config

ROOT = Path(__file__).parents[1]
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA / "hwu64", help="folder with train, dev and test.spacy")
    parser.add_argument("--output", type=Path, default=ROOT / "training" / "hwu64")
    parser.add_argument("--encoder", choices=CONFIGS, default="CNN")
    parser.add_argument("--transformer", help="a Hugging Face model: a folder or a name")
    parser.add_argument("--systems", nargs="+", default=["together", *HEADS], choices=["together", *HEADS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--part", default="1/1", help="1/2: the first of two halves of the work")
    args = parser.parse_args()
    rows = run_all(plan(args), args.output, part=args.part)
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
