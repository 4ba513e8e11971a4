"""The folder of a comparison as `mtl compare` leaves it, from small pipelines that are really trained."""

import json
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import spacy
from multi import write
from pipelines import heads_config
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import minibatch
from thinc.api import fix_random_seed
from toy import ENCODER, make_docs

from spacy_mtl.comparison.result import (
    Comparison,
    Cost,
    Difference,
    HeadSummary,
    Interval,
    RunSummary,
    write_comparison,
)
from spacy_mtl.experiments.predictions import save_predictions, score

HEADS = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})
METRICS = {"intent": "intent_acc", "slots": "slots_f"}
MODEL = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}


def make_comparison(
    folder: Path, *, seeds: int = 2, steps: int = 20, n_train: int = 40, n_test: int = 60, n_labels: int = 0
) -> Path:
    """Train joint and single pipelines on toy data, and write report.json and runs/. RETURNS: the folder.

    n_labels (int): Number of intents that are dealt out without any sense; 0 keeps those of the toy data.
    """
    data = {split: folder / "data" / f"{split}.spacy" for split in ("train", "dev", "test")}
    for number, (split, n_docs) in enumerate((("train", n_train), ("dev", 30), ("test", n_test))):
        docs = make_docs(n_docs, number)
        for index, doc in enumerate(docs if n_labels else ()):
            doc.cats = {f"label{place:02}": float(place == index % n_labels) for place in range(n_labels)}
        write(data[split], with_noise(docs) if split == "train" and not n_labels else docs)
    systems = {"joint": list(HEADS)} | {f"{head} alone": [head] for head in HEADS}
    runs = [
        train_run(folder, system, heads, seed, data, steps)
        for seed in range(seeds)
        for system, heads in systems.items()
    ]
    write_comparison(put_together(runs, seeds, n_train, n_test), folder / "report.json")
    return folder


def with_noise(docs: list[Doc]) -> list[Doc]:
    """Some docs of another intent than they have, so that there is something to get wrong."""
    for doc in docs[::6]:
        doc.cats = {label: 1.0 - value for label, value in doc.cats.items()}
    return docs


def train_run(
    folder: Path, system: str, heads: list[str], seed: int, data: dict[str, Path], n_steps: int
) -> RunSummary:
    """Train some of the heads, and write the folder of the run."""
    name = f"{system.replace(' ', '-')}-seed{seed}-0123456789ab"
    own = folder / "runs" / name
    fix_random_seed(seed)
    nlp = spacy.blank("en")
    settings = {"model": MODEL, "heads": {key: deepcopy(HEADS[key]) for key in heads}, "readout_every": 2}
    pipe: Any = nlp.add_pipe("multitask", config=settings)
    gold = {split: list(DocBin().from_disk(path).get_docs(nlp.vocab)) for split, path in data.items()}
    train = [Example(bare(nlp, doc), doc) for doc in gold["train"]]
    optimizer = nlp.initialize(lambda: train)
    optimizer.learn_rate = 0.005
    lines = []
    for step in range(0, n_steps, 10):
        losses: dict[str, float] = {}
        for batch in batches(train, seed + step, 10):
            nlp.update(batch, sgd=optimizer, losses=losses)
        scores = nlp.evaluate([Example(bare(nlp, doc), doc) for doc in gold["dev"]])
        numbers = {key: value for key, value in scores.items() if isinstance(value, float)}
        per_step = {key: value / 10 for key, value in losses.items()}
        lines.append({"epoch": 0, "step": step + 10, "words": 0, "seconds": 0.0, "score": 0.0, "losses": per_step})
        lines[-1] |= {"scores": numbers, "balance": {"multitask": pipe.take_readout()}}
    own.mkdir(parents=True)
    (own / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf8")
    nlp.to_disk(own / "model")
    scores = {split: evaluate(nlp, gold[split], own, split) for split in ("dev", "test")}
    cost = {"steps": n_steps, "best_step": n_steps, "train_seconds": 1.5, "parameters": 1000, "bytes": 5000}
    return RunSummary(name, system, heads, seed, f"runs/{name}", "finished", "", scores, cost)


def bare(nlp: Language, doc: Doc) -> Doc:
    return Doc(nlp.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])


def batches(examples: list[Example], seed: int, n: int) -> list[list[Example]]:
    rng = random.Random(seed)
    return list(minibatch(rng.choices(examples, k=16 * n), 16))


def evaluate(nlp: Language, gold: list[Doc], folder: Path, split: str) -> dict[str, Any]:
    """Predict the docs, write what was predicted, and score it."""
    examples = [Example(nlp(bare(nlp, doc)), doc) for doc in gold]
    scores, verdicts = score(nlp, examples)
    save_predictions(nlp, examples, verdicts, folder, split)
    return scores


def put_together(runs: list[RunSummary], seeds: int, n_train: int, n_test: int) -> Comparison:
    """The contents of report.json. The intervals are made up, the scores are not."""
    differences = [difference(head, metric, runs, n_test) for head, metric in METRICS.items()]
    return Comparison(
        title="toy",
        config="toy.cfg",
        lang="en",
        heads=[
            HeadSummary(head, HEADS[head]["@mtl_heads"], metric, [], n_train, 30, n_test)
            for head, metric in METRICS.items()
        ],
        corpora={
            "train": {
                "toy": {
                    "docs": n_train,
                    "words": 5 * n_train,
                    "heads": {
                        "intent": {"docs": n_train, "units": n_train},
                        "slots": {"docs": n_train // 2, "units": 1234},
                    },
                }
            }
        },
        budget={"unit": "steps", "steps": 30},
        seeds=list(range(seeds)),
        method="A method of the tests.",
        alpha=0.05,
        differences=differences,
        relative_improvement={"test": Interval(0.01, -0.01, 0.03)},
        costs=[Cost("joint", 1000, 5000, 1.5, 9000.0, 1e6), Cost("single", 2000, 10000, 3.0, 4500.0, 2e6)],
        runs=runs,
        versions={"spacy": spacy.__version__},
        date="2026-01-31",
    )


def difference(head: str, metric: str, runs: list[RunSummary], n_test: int) -> Difference:
    """The head's scores, and an interval of 2 points around their difference."""
    scores = [run.scores["test"][metric] for run in runs if run.system == "joint"]
    alone = [run.scores["test"][metric] for run in runs if run.system == f"{head} alone"]
    change = sum(scores) / len(scores) - sum(alone) / len(alone)
    verdict = "no difference shown" if abs(change) < 0.02 else "helped" if change > 0 else "hurt"
    bounds = (change, change - 0.02, change + 0.02)
    own = (head, "joint", f"{head} alone", "test", metric)
    return Difference(*own, scores, alone, *bounds, 0.01, 0.02, 0.013, verdict, "", n_test)
