"""A CNN without pretrained parts, with word vectors of a teacher, and with vectors of its pieces (no word is unknown).

    python benchmarks/scores/teacher_vectors.py --teacher sentence-transformers/all-MiniLM-L6-v2 --data ../shared/data

`python -m spacy mtl vectors` makes the vectors of each corpus once, from the words of its training set and the whole
words of the teacher's vocabulary. Encoder and training are those of `--config`, such as configs/cpu.cfg; the heads are
those of `mtl compare` on the same corpus. Each model is chosen on dev and scored on dev and test, on gold tokens. Other
settings go to the config, such as `--components.tok2vec.model.width 96`.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from one_config import evaluate
from runs import Run, load_config, run_all, set_steps, table
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.cli._util import parse_config_overrides
from spacy.language import Language
from thinc.api import Config

ENCODER = "components.tok2vec.model"
COMPARE = ROOT / "benchmarks" / "configs"
# config with the heads of each corpus; None for those of --config
HEADS: dict[str, Path | None] = {
    "snips": None,
    "hwu64": COMPARE / "compare_hwu64.cfg",
    "nlupp_banking": COMPARE / "compare_nlupp.cfg",
    "nlupp_hotels": COMPARE / "compare_nlupp.cfg",
}
SCORES = {
    "snips": ["slots_f", "intent_acc", "multitask_exact"],
    "hwu64": ["scenario_acc", "action_acc", "entities_f", "multitask_exact"],
    "nlupp_banking": ["intents_macro_f", "slots_f"],
    "nlupp_hotels": ["intents_macro_f", "slots_f"],
}
SYSTEMS = ("no vectors", "words", "pieces")


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA,
        output=ROOT / "training" / "teacher_vectors",
        config=ROOT / "configs" / "accurate.cfg",
        seeds=SEEDS,
        steps=9600,
        jobs=1,
    )
    parser.add_argument("--teacher", required=True, help="a Hugging Face model or a pipeline: a folder or a name")
    parser.add_argument("--width", type=int, default=128, help="columns of the vectors")
    parser.add_argument("--corpora", nargs="+", choices=HEADS, default=list(HEADS))
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    args, overrides = parser.parse_known_args()
    rows = run_all(plan(args, overrides), args.output, jobs=args.jobs)
    for corpus in args.corpora:
        print(f"\n{corpus}\n")
        names = [f"{split} {name}" for split in ("dev", "test") for name in SCORES[corpus]]
        print(table([row for row in rows if row["corpus"] == corpus], "system", names))


def plan(args: argparse.Namespace, overrides: Sequence[str]) -> Iterator[Run]:
    """The trainings, corpus by corpus and seed by seed."""
    changes = parse_config_overrides(list(overrides))
    for corpus in args.corpora:
        vectors = make_vectors(args, corpus)
        for seed in args.seeds:
            for system in args.systems:
                key = {"corpus": corpus, "config": args.config.stem, "system": system, "seed": seed}
                key |= {"steps": args.steps} | ({} if system == "no vectors" else {"width": args.width}) | changes
                yield Run(
                    key,
                    make_config(args, corpus, system, vectors, changes | {"system.seed": seed}),
                    lambda nlp, corpus=corpus: scores_of(nlp, args.data / corpus, SCORES[corpus]),
                )


def make_vectors(args: argparse.Namespace, corpus: str) -> Path:
    """The folder with the vectors of a corpus, which are made if they are not there yet."""
    folder = args.output / "vectors" / f"{corpus}-{args.width}"
    if not folder.exists():
        command = [sys.executable, "-m", "spacy", "mtl", "vectors", args.teacher, "--output", folder, "--pieces"]
        command += ["--texts", args.data / corpus / "train.spacy", "--from-tokenizer", "--width", args.width]
        subprocess.run(list(map(str, command)), check=True)
    return folder


def make_config(args: argparse.Namespace, corpus: str, system: str, vectors: Path, changes: dict[str, Any]) -> Config:
    """The config of a system, with the heads of the corpus."""
    settings = {f"paths.{split}": str(args.data / corpus / f"{split}.spacy") for split in ("train", "dev")}
    if system == "words":
        settings |= {"initialize.vectors": str(vectors), f"{ENCODER}.pretrained_vectors": True}
    if system == "pieces":
        settings |= {f"{ENCODER}.piece_vectors": str(vectors)}
    config = set_steps(load_config(args.config, settings | changes), args.steps)
    path = HEADS[corpus]
    if path is not None:
        other = load_config(path, {})
        for section in ("heads", "weighting"):
            config["components"]["multitask"][section] = other["components"]["multitask"][section]
        config["training"]["score_weights"] = other["training"]["score_weights"]
    return config


def scores_of(nlp: Language, data: Path, names: Sequence[str]) -> dict[str, float]:
    """The scores on dev and test, in per cent."""
    splits = {split: evaluate(nlp, data / f"{split}.spacy", names) for split in ("dev", "test")}
    return {f"{split} {name}": value for split, scores in splits.items() for name, value in scores.items()}


if __name__ == "__main__":
    main()
