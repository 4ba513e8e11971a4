"""Co-training with a share of a corpus's labels, the rest as raw text: test scores before, and after each round.

    python benchmarks/scores/co_training.py --data ../shared/data/snips --output training/co_training

The round's best learner on dev is scored on test, on gold tokens. Other settings go to the config, such as
--training.max_steps 600 (then also --training.optimizer.learn_rate.total_steps 600). A round has more docs than the one
before, so with few steps the gold is hardly seen.
"""

import json
import random
from pathlib import Path
from typing import Any

import spacy
from one_config import evaluate
from runs import read_docs
from score_options import REQUIRED, ROOT, make_parser
from spacy.cli._util import parse_config_overrides
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import load_config

from spacy_mtl.cli.co_train import make_settings
from spacy_mtl.cotraining.report import Report, Round, markdown_table
from spacy_mtl.cotraining.rounds import co_train
from spacy_mtl.gold import unannotated

CONFIG = ROOT / "configs" / "cpu.cfg"


def split(data: Path, folder: Path, *, share: float, seed: int) -> tuple[Path, Path]:
    """Draw the docs that keep their labels. RETURNS: their file, and that of the others, without annotation."""
    nlp = spacy.blank("en")
    docs = read_docs(data / "train.spacy", spacy.blank("en"))
    random.Random(seed).shuffle(docs)
    n_gold = round(share * len(docs))
    folder.mkdir(parents=True)
    paths = folder / "gold.spacy", folder / "raw.spacy"
    DocBin(docs=docs[:n_gold]).to_disk(paths[0])
    DocBin(docs=[unannotated(doc, nlp.vocab) for doc in docs[n_gold:]]).to_disk(paths[1])
    return paths


def precision(model: Path, labelled: Path, data: Path) -> dict[str, float]:
    """The share of each head's labels that are those of the corpus, in per cent."""
    gold = {words_of(doc): doc for doc in read_docs(data / "train.spacy", spacy.blank("en"))}
    docs = read_docs(labelled, spacy.blank("en"))
    correct: dict[str, list[bool]] = {}
    for name, head in spacy.load(model).get_pipe("multitask").heads.items():
        own = [doc for doc in docs if head.is_correct(Example(doc, doc)) is not None]
        correct[name] = [bool(head.is_correct(Example(doc, gold[words_of(doc)]))) for doc in own]
    return {name: 100 * sum(flags) / len(flags) for name, flags in correct.items() if flags}


def words_of(doc: Doc) -> tuple[str, ...]:
    return tuple(token.text for token in doc)


def measure(one: Round, output: Path, data: Path, names: list[str]) -> dict[str, Any]:
    """The round in numbers: its labels, how many of them are right, and the test scores."""
    model = output / one.best.model
    scores = evaluate(spacy.load(model), data / "test.spacy", names)
    row: dict[str, Any] = {"round": one.number, "learner": one.best.name, "dev": 100 * one.best.score}
    row["labels"] = {head: report.labels for head, report in one.heads.items()}
    row["right"] = precision(model, output / f"round-{one.number}" / "pseudo.spacy", data) if one.number else {}
    return row | {"test": scores}


def table(rows: list[dict[str, Any]], names: list[str]) -> str:
    """A markdown table, a row for each round; scores and shares in per cent."""
    heads = list(rows[-1]["labels"])
    header = ["round", *(f"labels: {head} (right)" for head in heads), "dev", *names]
    lines = []
    for row in rows:
        labels = [f"{row['labels'][head]} ({row['right'].get(head, 0):.1f})" if row["labels"] else "" for head in heads]
        numbers = [row["dev"], *(row["test"][name] for name in names)]
        lines.append([str(row["round"]), *labels, *(f"{number:.2f}" for number in numbers)])
    return "\n".join(markdown_table(header, lines))


def main() -> None:
    parser = make_parser(
        __doc__,
        data=REQUIRED,
        output=Path("training/co_training"),
        config=CONFIG,
        seed=0,
        scores=["slots_f", "intent_acc", "multitask_exact"],
    )
    parser.add_argument("--share", type=float, default=0.1, help="of the docs that keep their labels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=int, default=1)
    parser.add_argument("--threshold", nargs="+", default=[], help="N, or HEAD=N")
    parser.add_argument("--agreement", choices=("seeds", "views"), default="seeds")
    args, others = parser.parse_known_args()
    gold, raw = split(args.data, args.output / "data", share=args.share, seed=args.seed)
    paths = {"paths.train": str(gold), "paths.dev": str(args.data / "dev.spacy"), "system.seed": args.seed}
    config = load_config(args.config, overrides=paths | parse_config_overrides(others), interpolate=False)
    settings = make_settings(args.rounds, args.threshold, args.agreement, [], args.patience)
    rows: list[dict[str, Any]] = []

    def show(one: Round, report: Report) -> None:
        if one.learners:
            rows.append(measure(one, args.output / "run", args.data, args.scores))
            print(f"\n{table(rows, args.scores)}\n", flush=True)

    report = co_train(config, raw, args.output / "run", settings, on_round=show)
    print(f"{report.n_raw} raw texts; stopped: {report.stopped}; best on dev: round {report.best_round.number}")
    results = {"settings": report.settings, "share": args.share, "raw": report.n_raw, "rounds": rows}
    text = json.dumps(results | {"stopped": report.stopped}, indent=1)
    (args.output / "results.json").write_text(text + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
