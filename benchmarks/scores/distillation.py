"""Distillation into a small student: on the gold alone, with the teachers' labels, and with their probabilities.

    python benchmarks/scores/distillation.py --data ../shared/data/snips --teacher intent=TEACHER slots=TEACHER \\
        --augmented 20000
    python benchmarks/scores/distillation.py --data ../shared/data/snips --share 0.1 --teacher-config TEACHER.cfg
    python benchmarks/scores/distillation.py --data ../shared/data/hwu64 --corpus hwu64 --teacher-config TEACHER.cfg

A teacher is given with --teacher HEAD=PATH, or trained with --teacher-config on the same gold as the student: one for
all heads on SNIPS, one for each head on HWU64. With --share the other docs of train are raw text. Each student is
chosen on dev and scored on test, on gold tokens; the teachers' scores on dev are in the reports. Settings of the
teacher's config are given as --teacher.paths.transformer PATH, those of the student's as --training.dropout 0.2.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
from hwu64 import HEADS, SCORES, WEIGHTS
from one_config import evaluate
from runs import RowT, load_config, read_docs, set_steps, table, train, write_docs
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.cli._util import parse_config_overrides
from thinc.api import Config

from spacy_mtl.distillation.distil import BEST, Carrying, distil
from spacy_mtl.distillation.distil_report import DistilReport, as_markdown
from spacy_mtl.distillation.distil_settings import DistilSettings, TeacherName
from spacy_mtl.experiments.seeding import with_seed
from spacy_mtl.gold import unannotated

SNIPS = {"intent": "intent_acc", "slots": "slots_f"}
SYSTEMS = {"gold alone": None, "hard labels": "hard", "soft targets": "soft"}


def split(data: Path, folder: Path, *, share: float, seed: int) -> tuple[Path, list[Path]]:
    """Draw the docs that keep their labels. RETURNS: their file, and that of the others without annotation, if any."""
    if share >= 1.0:
        return data / "train.spacy", []
    nlp = spacy.blank("en")
    docs = read_docs(data / "train.spacy", nlp)
    random.Random(seed).shuffle(docs)
    n_gold = round(share * len(docs))
    gold = write_docs(docs[:n_gold], folder / "gold.spacy")
    return gold, [write_docs([unannotated(doc, nlp.vocab) for doc in docs[n_gold:]], folder / "raw.spacy")]


def make_config(
    path: Path, args: argparse.Namespace, gold: Path, others: dict[str, Any], heads: Sequence[str]
) -> Config:
    """A training config on the gold, with these heads if the corpus is HWU64."""
    paths = {"paths.train": str(gold), "paths.dev": str(args.data / "dev.spacy"), "system.seed": args.seeds[0]}
    config = load_config(path, paths | others)
    if args.corpus == "hwu64":
        multitask = config["components"]["multitask"]
        multitask["heads"] = {name: dict(HEADS[name]) for name in heads}
        if len(heads) > 1:
            multitask["heads"]["entities"]["condition_on"] = ["scenario", "action"]
        multitask["weighting"]["weights"] = {name: WEIGHTS[name] for name in heads}
        config["training"]["score_weights"] = {SCORES[name]: 1 / len(heads) for name in heads}
    return config


def find_teachers(args: argparse.Namespace, gold: Path, others: dict[str, Any]) -> list[TeacherName]:
    """The given teachers, or those that are trained now."""
    if args.teacher:
        return [TeacherName.parse(option) for option in args.teacher]
    if args.teacher_config is None:
        raise SystemExit("give --teacher HEAD=PATH, or --teacher-config")
    groups = [list(SNIPS)] if args.corpus == "snips" else [[head] for head in HEADS]
    found = []
    for heads in groups:
        config = make_config(args.teacher_config, args, gold, others, heads)
        if args.teacher_steps:
            config = set_steps(config, args.teacher_steps)
        model = train(config, args.output / "teachers", "-".join(["teacher", *heads]))
        found += [TeacherName(head, str(model)) for head in heads]
    return found


def measure(name: str, config: Config, seed: int, settings: DistilSettings, args: argparse.Namespace) -> RowT:
    """Train one student. RETURNS: its scores on test."""
    scores = [*(SNIPS if args.corpus == "snips" else SCORES).values(), "multitask_exact"]
    if SYSTEMS[name] is None:
        model = train(with_seed(config, seed), args.output / "alone", "gold alone")
    else:
        folder = args.output / "students"
        report = distil(with_seed(config, seed), folder, settings, Carrying())
        show(report)
        model = folder / BEST
    return {"system": name, "seed": seed} | evaluate(spacy.load(model), args.data / "test.spacy", scores)


def show(report: DistilReport) -> None:
    print(f"\n{as_markdown(report)}\n", flush=True)


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA / "snips",
        output=ROOT / "training" / "distillation",
        config=ROOT / "configs" / "cpu.cfg",
        seeds=SEEDS,
        steps=2400,
        systems=list(SYSTEMS),
    )
    parser.add_argument("--corpus", choices=("snips", "hwu64"), default="snips", help="which heads there are")
    parser.add_argument("--teacher", nargs="+", default=[], help="HEAD=PATH or HEAD=PATH:HEAD")
    parser.add_argument("--teacher-config", type=Path, help="training config of the teachers")
    parser.add_argument("--teacher-steps", type=int, default=0, help="steps of a teacher; 0 for those of its config")
    parser.add_argument("--share", type=float, default=1.0, help="of the docs that keep their labels")
    parser.add_argument("--texts", type=Path, nargs="+", default=[], help="more raw texts")
    parser.add_argument("--augmented", type=int, default=0, help="number of texts to make from the gold")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--threshold", type=float, default=0.0, help="least confidence of a hard label")
    parser.add_argument("--gold-weight", type=float, default=1.0)
    parser.add_argument("--no-anneal", action="store_true")
    args, rest = parser.parse_known_args()
    overrides = parse_config_overrides(rest)
    of_teacher = {key.removeprefix("teacher."): value for key, value in overrides.items() if key.startswith("teacher.")}
    own = {key: value for key, value in overrides.items() if not key.startswith("teacher.")}
    gold, raw = split(args.data, args.output / "data", share=args.share, seed=0)
    heads = list(SNIPS if args.corpus == "snips" else HEADS)
    config = set_steps(make_config(args.config, args, gold, own, heads), args.steps)
    teachers = find_teachers(args, gold, of_teacher)
    rows: list[RowT] = []
    for seed in args.seeds:
        for name in args.systems:
            settings = DistilSettings(
                teachers,
                texts=[*raw, *args.texts],
                augmented=args.augmented,
                labels="hard" if SYSTEMS[name] == "hard" else "soft",
                threshold=args.threshold,
                temperature=args.temperature,
                gold_weight=args.gold_weight,
                anneal=not args.no_anneal,
            )
            rows.append(measure(name, config, seed, settings, args))
            print(json.dumps(rows[-1]), flush=True)
    (args.output / "results.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf8")
    print(table(rows, "system", [key for key in rows[0] if key not in ("system", "seed")]))


if __name__ == "__main__":
    main()
