"""What mtl compare says of a head that has nothing to learn, and of the heads beside it.

    python benchmarks/scores/shuffled_head.py --data ../shared/data/snips

SNIPS with a third head, `shuffled`: the intents, dealt out anew to the docs of each split, so that they tell nothing of
the text. Compares the joint training of a smaller `configs/cpu.cfg` with each head alone, and with all heads but one.
The tables say

- what each verdict is. `shuffled` can't be learned, so its score is that of guessing, alone and together.
- whether the two real heads are blamed, and whether with reason: joint training is tested against the joint training
  `without shuffled`, which is the damage that the head itself does.
"""

import argparse
import random
from pathlib import Path
from typing import Any

import numpy as np
import spacy
from runs import load_config, read_docs, write_docs
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.tokens import Doc
from thinc.api import Config

from spacy_mtl.cli.compare import HEADER, print_comparison, row_of
from spacy_mtl.comparison.compare import Running, compare
from spacy_mtl.comparison.paired_test import JudgedRuns
from spacy_mtl.comparison.planning import Settings
from spacy_mtl.comparison.result import Comparison, Difference
from spacy_mtl.comparison.systems import JOINT
from spacy_mtl.comparison.verdict import Pair, judge
from spacy_mtl.experiments.predictions import judged_counts
from spacy_mtl.metrics.class_metrics import main_score_of_classes
from spacy_mtl.metrics.span_metrics import main_score_of_spans

PREFIXES = ("intent=", "shuffled=")
WITHOUT = "without shuffled"
SCORES = {
    "intent": lambda counts: main_score_of_classes(counts, exclusive=True),
    "slots": main_score_of_spans,
}


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA / "snips",
        output=ROOT / "training" / "shuffled_head",
        config=ROOT / "configs" / "cpu.cfg",
        seeds=SEEDS,
        docs=3000,
        steps=500,
        jobs=1,
    )
    parser.add_argument("--weight", type=float, default=1.0, help="weight of the loss of the shuffled head")
    args = parser.parse_args()
    paths = {split: write_split(args, split) for split in ("train", "dev", "test")}
    settings = Settings(len(args.seeds), leave_one_out=True, detach=True, test=str(paths["test"]))
    output = args.output / "report"
    result = compare(make_config(args, paths), output, settings, Running(jobs=args.jobs, costs=False), name="snips.cfg")
    print_comparison(result)
    print(f"\njoint against {WITHOUT}, on test")
    print(" | ".join(HEADER))
    for found in judge([pair_of(result, output, head) for head in SCORES]):
        print(" | ".join(row_of(found)), "| detectable", describe(found))


def write_split(args: argparse.Namespace, split: str) -> Path:
    """Write a split with the intents as they are and dealt out anew."""
    docs = read_docs(args.data / f"{split}.spacy", spacy.blank("en"))
    docs = docs[: args.docs] if split == "train" else docs
    return write_docs(with_shuffled(docs, seed=split), args.output / f"{split}.spacy")


def with_shuffled(docs: list[Doc], *, seed: str) -> list[Doc]:
    """The docs, whose cats have each intent twice: as it is, and as that of another doc."""
    order = list(range(len(docs)))
    random.Random(seed).shuffle(order)
    given = [dict(doc.cats) for doc in docs]
    for place, doc in enumerate(docs):
        both = zip(PREFIXES, (given[place], given[order[place]]), strict=True)
        doc.cats = {f"{prefix}{key}": value for prefix, cats in both for key, value in cats.items()}
    return docs


def make_config(args: argparse.Namespace, paths: dict[str, Path]) -> Config:
    """The config with a third head, a smaller encoder and a shorter training. The real heads choose the best model."""
    overrides: dict[str, Any] = {
        "paths.train": str(paths["train"]),
        "paths.dev": str(paths["dev"]),
        "system.seed": args.seeds[0],
        "components.tok2vec.model.width": 48,
        "components.tok2vec.model.depth": 2,
        "training.max_steps": args.steps,
        "training.eval_frequency": args.steps // 2,
        "training.optimizer.learn_rate.total_steps": args.steps,
        "training.optimizer.learn_rate.warmup_steps": args.steps // 10,
    }
    config = load_config(args.config, overrides)
    heads = config["components"]["multitask"]["heads"]
    heads["shuffled"] = dict(heads["intent"])
    for head, prefix in zip(("intent", "shuffled"), PREFIXES, strict=True):
        heads[head]["label_prefix"] = prefix
    config["components"]["multitask"]["weighting"]["weights"]["shuffled"] = args.weight
    none = dict.fromkeys(("multitask_score", "multitask_exact", "shuffled_acc"), 0.0)
    config["training"]["score_weights"] = none | {"intent_acc": 0.5, "slots_f": 0.5}
    return config


def pair_of(result: Comparison, output: Path, head: str) -> Pair:
    """A head in joint training, and in joint training without the shuffled head."""
    runs, scores = {}, {}
    metric = next(found.metric for found in result.heads if found.name == head)
    for system in (JOINT, WITHOUT):
        own = [run for run in result.runs if run.system == system and run.status == "finished"]
        counts = np.stack([judged_counts(output / run.folder, "test")[head] for run in own])
        runs[system] = JudgedRuns(counts, SCORES[head])
        scores[system] = [run.scores["test"][metric] for run in own]
    support = next(found.n_test for found in result.heads if found.name == head)
    return Pair(head, JOINT, WITHOUT, "test", metric, *runs.values(), *scores.values(), support)


def describe(found: Difference) -> str:
    """The smallest difference that could have been shown, in points, and the p value."""
    return f"{100 * (found.detectable or 0):.1f}, p {found.p_corrected:.3f}"


if __name__ == "__main__":
    main()
