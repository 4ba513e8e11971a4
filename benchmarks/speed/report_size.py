"""How long a report on a large comparison takes, and how large it is.

    python benchmarks/speed/report_size.py

A comparison of 20 heads (ten classifiers, nine recognizers over groups of spans, a tagger) with each head alone, one
seed, and a dev set of 100,000 docs. Nothing is trained, since what the report does depends on the number of docs, heads
and errors alone: the pipelines are initialised, and the predictions are the gold labels, of which each run changes a
fifth by chance. Prints seconds of one core, over all 21 runs:

evaluation        scoring the predictions once, which each training does at every evaluation
kept by the runs  what a run adds to its last evaluation for test and report: counts, decisions and tokens as arrays
page              reading the folder and writing report.html

With --folder the comparison is kept, and used again.
"""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_mtl.comparison.result import (
    Comparison,
    Difference,
    HeadSummary,
    Interval,
    RunSummary,
    read_comparison,
    write_comparison,
)
from spacy_mtl.experiments.predictions import save_judgement, score
from spacy_mtl.report.from_comparison import data_of_comparison
from spacy_mtl.report.page import write_page

ENCODER = {
    "@architectures": "spacy_mtl.HashEmbedCNN.v1",
    "width": 32,
    "depth": 1,
    "embed_size": 500,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": False,
    "pretrained_vectors": None,
}
MODEL = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
# difference, low, high, p, p_corrected, detectable
NUMBERS = (0.1, 0.05, 0.15, 0.01, 0.02, 0.01)
N_LABELS, N_SAMPLE, NOISE = 40, 200, 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=int, default=100_000)
    parser.add_argument("--heads", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="where the comparison is kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        kept = folder / "kept.json"
        if not kept.exists():
            kept.write_text(json.dumps(write_folder(folder, args.docs, args.heads)), encoding="utf8")
        start, cpu = time.perf_counter(), time.process_time()
        write_page(data_of_comparison(folder), folder / "report.html")
        times = {"page": time.process_time() - cpu, "page, by the clock": time.perf_counter() - start}
        size = (folder / "report.html").stat().st_size
        comparison = read_comparison(folder / "report.json")
        result = {"heads": len(comparison.heads), "docs": comparison.heads[0].n_dev, "runs": len(comparison.runs)}
        seconds = {name: round(value, 1) for name, value in (json.loads(kept.read_text()) | times).items()}
        print(json.dumps(result | {"seconds": seconds, "kilobytes": size // 1000}))


def make_heads(n_heads: int) -> dict[str, dict[str, Any]]:
    """Classifiers, recognizers, and one tagger."""
    half = n_heads // 2
    heads: dict[str, dict[str, Any]] = {
        f"class{place}": {"@mtl_heads": "spacy_mtl.DocClassifier.v1", "label_prefix": f"{place}="}
        for place in range(half)
    }
    for place in range(n_heads - half - 1):
        heads[f"spans{place}"] = {"@mtl_heads": "spacy_mtl.EntityRecognizer.v1", "spans_key": f"key{place}"}
    return heads | {"tag": {"@mtl_heads": "spacy_mtl.Tagger.v1"}}


def make_docs(nlp: Language, n_docs: int, n_classes: int) -> list[Doc]:
    """Docs of 5 to 20 tokens with classes, entities and tags."""
    rng = random.Random(0)
    words = [f"word{number}" for number in range(2000)]
    docs = []
    for _ in range(n_docs):
        n = rng.randint(5, 20)
        ents = ["O"] * n
        ents[rng.randrange(n)] = f"B-TYPE{rng.randrange(N_LABELS)}"
        tags = [f"T{rng.randrange(N_LABELS)}" for _ in range(n)]
        doc = Doc(nlp.vocab, words=rng.choices(words, k=n), ents=ents, tags=tags)
        doc.cats = {f"{place}=label{rng.randrange(N_LABELS)}": 1.0 for place in range(n_classes)}
        docs.append(doc)
    return docs


def write_folder(folder: Path, n_docs: int, n_heads: int) -> dict[str, float]:
    """Write a comparison as mtl compare leaves it. RETURNS: seconds of the CPU by what they were spent on."""
    heads = make_heads(n_heads)
    gold = make_docs(spacy.blank("en"), n_docs, n_heads // 2)
    folder.mkdir(parents=True, exist_ok=True)
    systems = {"joint": list(heads)} | {f"{head} alone": [head] for head in heads}
    times: Counter[str] = Counter()
    runs = [write_run(folder, system, {key: heads[key] for key in own}, gold, times) for system, own in systems.items()]
    metrics = {key: f"{key}_{'f' if 'Entity' in head['@mtl_heads'] else 'acc'}" for key, head in heads.items()}
    differences = [
        Difference(
            key,
            "joint",
            f"{key} alone",
            "dev",
            metric,
            [0.5],
            [0.4],
            0.1,
            0.05,
            0.15,
            0.01,
            0.02,
            0.01,
            "helped",
            "",
            1,
        )
        for key, metric in metrics.items()
    ]
    summaries = [
        HeadSummary(key, heads[key]["@mtl_heads"], metric, [], n_docs, n_docs, 0) for key, metric in metrics.items()
    ]
    budget = {"unit": "steps", "steps": 1000}
    improvement = {"dev": Interval(0.1, 0.05, 0.15)}
    result = Comparison(
        "large", "large.cfg", "en", summaries, {}, budget, [0], "None: nothing was trained.", 0.05, differences,
        improvement, [], runs,
    )  # fmt: skip
    write_comparison(result, folder / "report.json")
    return times


def write_run(folder: Path, system: str, heads: dict[str, Any], gold: list[Doc], times: Counter[str]) -> RunSummary:
    """An initialised pipeline, its predictions, and learning curves."""
    own = folder / "runs" / system.replace(" ", "-")
    own.mkdir(parents=True)
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"model": MODEL, "heads": heads})
    nlp.initialize(lambda: [Example(bare(nlp, doc), doc) for doc in gold[:N_SAMPLE]])
    rng = random.Random(system)
    examples = [Example(with_noise(nlp, doc, heads, rng), doc) for doc in gold]
    start = time.process_time()
    _, verdicts = score(nlp, examples)
    scored = time.process_time()
    save_judgement(nlp, examples, verdicts, own, "dev")
    times.update({"evaluation": scored - start, "kept by the runs": time.process_time() - scored})
    curve = np.linspace(0.1, 0.9, 20).tolist()
    lines = [
        {
            "step": 50 * place,
            "losses": {f"multitask/{head}": 1.0 - value for head in heads},
            "scores": {f"{head}_{metric}": value for head in heads for metric in ("acc", "f")},
        }
        for place, value in enumerate(curve)
    ]
    (own / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf8")
    name = own.name
    return RunSummary(name, system, list(heads), 0, f"runs/{name}", "finished", "", {"dev": {}}, {"steps": 1000})


def with_noise(nlp: Language, gold: Doc, heads: dict[str, Any], rng: random.Random) -> Doc:
    """The annotation of these heads, with some of the labels changed."""

    def changed(label: str, prefix: str) -> str:
        return f"{prefix}{rng.randrange(N_LABELS)}" if rng.random() < NOISE else label

    tags = [changed(token.tag_, "T") for token in gold] if "tag" in heads else None
    doc = Doc(nlp.vocab, words=[token.text for token in gold], tags=tags)
    places = {head["label_prefix"] for head in heads.values() if "label_prefix" in head}
    doc.cats = {
        changed(key, f"{key.split('=')[0]}=label"): 1.0 for key in gold.cats if f"{key.split('=')[0]}=" in places
    }
    for head in heads.values():
        if "spans_key" in head:
            found = [Span(doc, ent.start, ent.end, label=changed(ent.label_, "TYPE")) for ent in gold.ents]
            doc.spans[head["spans_key"]] = found
    return doc


def bare(nlp: Language, doc: Doc) -> Doc:
    """The doc's tokens."""
    return Doc(nlp.vocab, words=[token.text for token in doc])


if __name__ == "__main__":
    main()
