"""EmoBank: valence, arousal and dominance of sentences, each number alone, all three together, and with the genre.

    python benchmarks/scores/emobank.py --data ../shared/data/emobank

Trains `configs/cpu.cfg` with other heads: a `Regressor` of one number ("V alone", …), of all three ("numbers"), and
beside it a `DocClassifier` of the seven genres ("numbers and genre"), which is also trained alone. Each is chosen on
dev by its main scores and scored on test, on gold tokens: Pearson's correlation of each number times 100, the mean
absolute error in points of the scale from 1 to 5 times 100, and the accuracy of the genre. Other settings go to the
config.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from runs import Run, annotated, load_config, run_all, set_steps, table
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.cli._util import parse_config_overrides
from spacy.language import Language
from thinc.api import Config

NUMBERS = ("V", "A", "D")
MOOD = {"@mtl_heads": "spacy_mtl.Regressor.v1"}
GENRE = {"@mtl_heads": "spacy_mtl.DocClassifier.v1", "label_prefix": "genre="}
# the heads of each system, and the score by which dev chooses
SYSTEMS: dict[str, dict[str, Any]] = {f"{name} alone": {"mood": MOOD | {"numbers": [name]}} for name in NUMBERS}
SYSTEMS["numbers"] = {"mood": MOOD | {"numbers": list(NUMBERS)}}
SYSTEMS["numbers and genre"] = SYSTEMS["numbers"] | {"genre": GENRE}
SYSTEMS["genre alone"] = {"genre": GENRE}
MAIN = {"mood": "mood_pearson", "genre": "genre_acc"}
SCORES = (*(f"{metric}_{name}" for metric in ("pearson", "mae") for name in NUMBERS), "genre_acc")


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA / "emobank",
        output=ROOT / "training" / "emobank",
        config=ROOT / "configs" / "cpu.cfg",
        seeds=SEEDS,
        steps=1600,
        jobs=1,
    )
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--split", choices=["dev", "test"], default="test", help="the split that is scored")
    args, overrides = parser.parse_known_args()
    print(table(run_all(plan(args, overrides), args.output, jobs=args.jobs), "system", SCORES))


def plan(args: argparse.Namespace, overrides: Sequence[str]) -> Iterator[Run]:
    """The trainings, seed by seed."""
    changes = parse_config_overrides(list(overrides))
    for seed in args.seeds:
        for system in args.systems:
            config = make_config(args, system, changes | {"system.seed": seed})
            name = " ".join([system, *(f"{key.split('.')[-1]}={value}" for key, value in changes.items())])
            key = {"system": name, "seed": seed, "split": args.split}
            yield Run(key, config, lambda nlp: scores_of(nlp, args))


def make_config(args: argparse.Namespace, system: str, changes: dict[str, Any]) -> Config:
    """The config with the heads of a system, each of which counts as much as the others."""
    paths = {f"paths.{split}": str(args.data / f"{split}.spacy") for split in ("train", "dev")}
    config = load_config(args.config, paths | changes)
    heads = SYSTEMS[system]
    config["components"]["multitask"].update(heads=heads, weighting={"@mtl_weightings": "spacy_mtl.Static.v1"})
    share = 1.0 / len(heads)
    config["training"]["score_weights"] = {"multitask_score": 0.0} | {MAIN[name]: share for name in heads}
    return set_steps(config, args.steps)


def scores_of(nlp: Language, args: argparse.Namespace) -> dict[str, float]:
    """Correlation and error of each number that the pipeline predicts, and the accuracy of the genre, times 100."""
    examples = annotated(nlp, args.data / f"{args.split}.spacy")
    scores = nlp.get_pipe("multitask").score(examples)
    found = {"genre_acc": scores["genre_acc"]} if "genre_acc" in scores else {}
    for name, by_metric in (scores.get("mood_by_number") or {}).items():
        found |= {f"{metric}_{name}": by_metric[metric] for metric in ("pearson", "mae", "spearman", "rmse")}
    return {name: 100 * value for name, value in found.items()}


if __name__ == "__main__":
    main()
