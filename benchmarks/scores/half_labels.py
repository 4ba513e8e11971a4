"""SNIPS with the slots removed from a random half of the docs and the intent removed from the other half.

    python benchmarks/scores/half_labels.py --data ../shared/data/snips

Trains `configs/cpu.cfg` on all labels and on the halves, and spaCy's own joint pipeline on both, with three seeds. Each
is chosen on dev and scored on test, on gold tokens. Other settings go to the config of spacy-mtl, such as
`--paths.transformer FOLDER` with `--config configs/transformer_fast.cfg`.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import spacy
from runs import Run, annotated, load_config, read_docs, run_all, table, write_docs
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.cli._util import parse_config_overrides
from spacy.language import Language
from spacy.training import Example

NATIVE = ROOT / "benchmarks" / "configs" / "native_joint.cfg"
SYSTEMS = ("spacy-mtl", "spaCy")
LABELS = ("all", "half")
SCORES = ("slots_f", "intent_acc", "exact")


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA / "snips",
        output=ROOT / "training" / "half_labels",
        seeds=SEEDS,
        config=ROOT / "configs" / "cpu.cfg",
        jobs=1,
    )
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--labels", nargs="+", choices=LABELS, default=list(LABELS))
    parser.add_argument("--native-steps", type=int, default=2400, help="of the training of spaCy's pipeline")
    args, overrides = parser.parse_known_args()
    halves = write_halves(args.data / "train.spacy", args.output / "halves.spacy")
    rows = run_all(plan(args, overrides, halves), args.output, jobs=args.jobs)
    print(table(rows, "system", SCORES))


def write_halves(source: Path, target: Path) -> Path:
    """Remove the slots from a random half of the docs and the intent from the others. The draw is always the same."""
    docs = read_docs(source, spacy.blank("en"))
    order = list(range(len(docs)))
    random.Random(0).shuffle(order)
    for place, index in enumerate(order):
        if place % 2:
            docs[index].set_ents([], default="missing")
        else:
            docs[index].cats = {}
    return write_docs(docs, target)


def plan(args: argparse.Namespace, overrides: Sequence[str], halves: Path) -> Iterator[Run]:
    """The trainings, seed by seed."""
    trains = {"all": args.data / "train.spacy", "half": halves}
    for seed in args.seeds:
        for system in args.systems:
            name, path, changes = choose(system, args, overrides)
            for labels in args.labels:
                settings: dict[str, Any] = {"paths.train": str(trains[labels])}
                settings |= {"paths.dev": str(args.data / "dev.spacy"), "system.seed": seed}
                settings |= {f"corpora.{split}.gold_tokens": True for split in ("train", "dev")}
                yield Run(
                    {"system": f"{name}, {labels} labels", "seed": seed},
                    load_config(path, settings | changes),
                    lambda nlp: joint_scores(nlp, args.data / "test.spacy"),
                )


def choose(system: str, args: argparse.Namespace, overrides: Sequence[str]) -> tuple[str, Path, dict[str, Any]]:
    """RETURNS: The system's name in the table, its config, and what is changed in it."""
    if system == "spaCy":
        return system, NATIVE, {"training.max_epochs": 0, "training.max_steps": args.native_steps}
    changes = parse_config_overrides(list(overrides))
    return ", ".join([f"{system} {args.config.stem}", *map(str, changes.values())]), args.config, changes


def joint_scores(nlp: Language, path: Path) -> dict[str, float]:
    """The papers' three scores from `doc.ents` and the best of `doc.cats`, in per cent, for any pipeline."""
    examples = annotated(nlp, path)
    spans = [(spans_of(eg, predicted=False), spans_of(eg, predicted=True)) for eg in examples]
    classes = [best(eg.reference.cats) == best(eg.predicted.cats) for eg in examples]
    found = sum(len(gold & predicted) for gold, predicted in spans)
    exact = [same and gold == predicted for same, (gold, predicted) in zip(classes, spans, strict=True)]
    return {
        "slots_f": 200 * found / sum(len(gold) + len(predicted) for gold, predicted in spans),
        "intent_acc": 100 * sum(classes) / len(examples),
        "exact": 100 * sum(exact) / len(examples),
    }


def spans_of(example: Example, *, predicted: bool) -> set[tuple[int, int, str]]:
    """The doc's entities."""
    doc = example.predicted if predicted else example.reference
    return {(ent.start, ent.end, ent.label_) for ent in doc.ents}


def best(cats: dict[str, float]) -> str:
    """The class with the highest score."""
    return max(cats, key=cats.__getitem__)


if __name__ == "__main__":
    main()
