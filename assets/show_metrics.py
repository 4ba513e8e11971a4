"""Print the scores of an intent and slot pipeline: python assets/show_metrics.py METRICS_JSON [--baselines DATA_DIR]

The file is what `python -m spacy mtl evaluate --output` wrote for one corpus.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import spacy
from baselines import score_baselines
from spacy.tokens import DocBin
from wasabi import msg

# what is scored, metric, its key in the file, its key in the baselines
ROWS = (
    ("intent", "accuracy", "intent_acc", "intent_acc"),
    ("intent", "macro F1", "intent_macro_f", ""),
    ("topic", "accuracy", "topic_acc", ""),
    ("slots", "precision", "slots_p", ""),
    ("slots", "recall", "slots_r", ""),
    ("slots", "F1", "slots_f", "slots_f"),
    ("both", "exact match", "multitask_exact", "exact"),
)


def read_scores(path: Path) -> dict[str, Any]:
    """The scores of the only corpus in the file."""
    by_corpus = json.loads(path.read_text(encoding="utf8"))
    if len(by_corpus) != 1:
        raise SystemExit(f"{path}: expected the scores of one corpus, found {list(by_corpus)}")
    (scores,) = by_corpus.values()
    return scores


def read_baselines(data_dir: Path) -> dict[str, float]:
    """Train the baselines on train.spacy and score them on test.spacy."""
    vocab = spacy.blank("xx").vocab
    train, test = (list(DocBin().from_disk(data_dir / f"{name}.spacy").get_docs(vocab)) for name in ("train", "test"))
    return score_baselines(train, test)


def make_rows(scores: Mapping[str, Any], baselines: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Percentages of what was scored. The column of the baselines is left out if there are none."""
    rows = [
        (task, metric, percent(scores[key]), percent(baselines.get(base)))
        for task, metric, key, base in ROWS
        if scores.get(key) is not None
    ]
    return rows if baselines else [row[:3] for row in rows]


def percent(score: float | None) -> str:
    return "-" if score is None else f"{100 * score:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the scores of an intent and slot pipeline.")
    parser.add_argument("metrics", type=Path, help="JSON file of python -m spacy mtl evaluate --output")
    parser.add_argument("--baselines", type=Path, help="folder with train.spacy and test.spacy, to score baselines on")
    args = parser.parse_args()
    baselines = read_baselines(args.baselines) if args.baselines else {}
    header = ("", "%", "multitask", *(["baselines"] if baselines else []))
    aligns = ("l", "l", "r", "r")[: len(header)]
    msg.table(make_rows(read_scores(args.metrics), baselines), header=header, aligns=aligns, divider=True)
    if baselines:
        print("baselines (assets/baselines.py): bag of words for the intent, gazetteer of training values for slots")


if __name__ == "__main__":
    main()
