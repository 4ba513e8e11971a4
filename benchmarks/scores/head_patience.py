"""A head with little gold, half of it wrong, beside two that still learn: with and without a patience of its own.

    python benchmarks/scores/head_patience.py --data ../shared/data/hwu64 --split test

`scenario` of HWU64 has gold in a corpus of its own with few docs, some of them with a random class. `action` and
`entities` have gold in all other docs. A sampler draws from both corpora alike, so that the small one is repeated over
and over. `scenario` begins later than the others (`--begin`), as if it was added to their model, and its loss has a
large weight. Each model is chosen on dev by the mean of the three scores. The split "dev" is for choosing settings.
"""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import spacy
from one_config import evaluate
from runs import Run, load_config, read_docs, run_all, table, write_docs
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Config

CONFIG = ROOT / "benchmarks" / "configs" / "compare_hwu64.cfg"
SYSTEMS = ("no patience", "encoder", "head")
SMALL, PREFIX = "scenario", "scenario="
SCORES = ("scenario_acc", "action_acc", "entities_f")


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA / "hwu64",
        output=ROOT / "training" / "head_patience",
        seeds=SEEDS,
        steps=250,
        docs=400,
        jobs=1,
    )
    parser.add_argument("--noise", type=float, default=0.5, help="share of the small corpus with a random class")
    parser.add_argument("--begin", type=int, default=75, help="step at which the small head begins to learn")
    parser.add_argument("--weight", type=float, default=8.0, help="of the small head's loss")
    parser.add_argument("--patience", type=int, default=50, help="steps without a better score")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--split", choices=("dev", "test"), default="dev", help="what the models are scored on")
    args = parser.parse_args()
    corpora = write_corpora(args)
    rows = run_all(plan(args, corpora), args.output, jobs=args.jobs)
    print(table(rows, "system", [*SCORES, "mean", "best step", "scenario, best on dev"]))


def write_corpora(args: argparse.Namespace) -> dict[str, Path]:
    """Write the small corpus, which has only scenarios, and the large one, which has none. RETURNS: by name."""
    docs = read_docs(args.data / "train.spacy", spacy.blank("en"))
    rng = random.Random(0)
    rng.shuffle(docs)
    few, others = docs[: args.docs], docs[args.docs :]
    classes = sorted({scenario_of(doc) for doc in few})
    for doc in few:
        wrong = rng.random() < args.noise
        gold = rng.choice(classes) if wrong else scenario_of(doc)
        doc.cats = {label: float(label == gold) for label in classes}
        doc.set_ents([], default="missing")
    for doc in others:
        doc.cats = {label: value for label, value in doc.cats.items() if not label.startswith(PREFIX)}
    folder = args.output / f"corpora-{args.docs}-{args.noise}"
    return {name: write_docs(own, folder / f"{name}.spacy") for name, own in (("few", few), ("others", others))}


def scenario_of(doc: Doc) -> str:
    """The doc's gold scenario."""
    return next(label for label, value in doc.cats.items() if label.startswith(PREFIX) and value)


def plan(args: argparse.Namespace, corpora: dict[str, Path]) -> Iterator[Run]:
    """The trainings, seed by seed."""
    for seed in args.seeds:
        for system in args.systems:
            name = system if system == "no patience" else f"{system}, patience {args.patience}"
            key = {"system": name, "docs": args.docs, "noise": args.noise, "steps": args.steps, "split": args.split}
            yield Run(
                key | {"seed": seed},
                make_config(args, corpora, system, seed=seed),
                lambda nlp: score(nlp, args.data / f"{args.split}.spacy"),
            )


def make_config(args: argparse.Namespace, corpora: dict[str, Path], system: str, *, seed: int) -> Config:
    """The config of the comparison on HWU64, on the two corpora."""
    config = load_config(CONFIG, {"paths.dev": str(args.data / "dev.spacy"), "system.seed": seed})
    heads = {"few": [SMALL], "others": ["action", "entities"]}
    config["corpora"]["train"] = {
        "@readers": "spacy_mtl.MultiCorpus.v1",
        "seed": seed,
        "sampler": {"@mtl_samplers": "spacy_mtl.Uniform.v1"},
        "corpora": {
            name: {
                "heads": heads[name],
                "reader": {"@readers": "spacy_mtl.Corpus.v1", "path": str(path), "gold_tokens": True},
            }
            for name, path in corpora.items()
        },
    }
    config["training"].update(max_epochs=-1, max_steps=args.steps, eval_frequency=25, dropout=0.1)
    config["training"]["optimizer"].update(learn_rate=0.003, use_averages=False)
    config["components"]["tok2vec"]["model"].update(width=64, depth=2)
    late = {"@schedules": "constant_then.v1", "rate": 0.0, "steps": args.begin}
    late["schedule"] = {"@schedules": "constant.v1", "rate": args.weight}
    config["components"]["multitask"]["weighting"] = {
        "@mtl_weightings": "spacy_mtl.Scheduled.v1",
        "schedules": {SMALL: late},
        "weights": {"entities": 4.0},
    }
    if system != "no patience":
        config["training"]["before_update"] = {
            "@callbacks": "spacy_mtl.HeadPatience.v1",
            "patience": {SMALL: args.patience},
            "freeze_when_done": {SMALL: system},
        }
    return config


def score(nlp: Language, data: Path) -> dict[str, Any]:
    """The scores in per cent, and what the model's meta says of the small head."""
    found = evaluate(nlp, data, SCORES)
    heads = nlp.meta["multitask"]["multitask"]["heads"]
    return found | {
        "mean": sum(found.values()) / len(found),
        "best step": heads[SMALL]["best_step"],
        "scenario, best on dev": 100 * heads[SMALL]["best_score"],
    }


if __name__ == "__main__":
    main()
