"""How cost grows: with the number of heads, the length of a doc, and the number of entity types.

    python benchmarks/speed/growth_of_cost.py

Pipelines are initialised, not trained, on English words of the folder of corpora; what a head computes does not depend
on its weights, except that the search for the best tags is faster in a trained recognizer. One thread. Each row is the
median over rounds. Results go to docs/benchmarks.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

import spacy
from alternate import annotator, in_turn, peak_megabytes, read_docs, run_with_threads, write_results
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from speed_options import DATA, make_parser

from spacy_mtl.gold import unannotated

TAGGERS = {name: {"@mtl_heads": "spacy_mtl.Tagger.v1", "attr": name} for name in ("tag", "pos", "morph", "sent_start")}
ENCODER = {
    "@architectures": "spacy_mtl.HashEmbedCNN.v1",
    "width": 96,
    "depth": 4,
    "embed_size": 2000,
    "window_size": 1,
    "maxout_pieces": 3,
    "subword_features": True,
    "pretrained_vectors": None,
}


def main() -> None:
    parser = make_parser(__doc__, data=DATA / "ewt" / "train.spacy", docs=1024, rounds=7)
    parser.add_argument("--lengths", type=int, nargs="+", default=[10, 100, 1000, 10_000, 20_000])
    parser.add_argument("--types", type=int, nargs="+", default=[5, 50, 150, 500])
    parser.add_argument("--child", choices=["heads", "length", "types"], help=argparse.SUPPRESS)
    parser.add_argument("--length", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        measure = {"heads": measure_heads, "length": measure_length, "types": measure_types}[args.child]
        print(json.dumps(measure(args)))
        return
    options = ["--data", args.data, "--docs", args.docs, "--rounds", args.rounds, "--types", *args.types]
    results: dict[str, Any] = {
        child: run_with_threads(__file__, 1, [*options, "--child", child]) for child in ("heads", "types")
    }
    results["length"] = [
        run_with_threads(__file__, 1, [*options, "--child", "length", "--length", length]) for length in args.lengths
    ]
    print(json.dumps(results, indent=1))
    write_results("scaling", results)


def build(heads: dict[str, Any], gold: list[Doc]) -> Language:
    """An initialised pipeline: the fast encoder and these heads."""
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": ENCODER})
    listener = {"@architectures": "spacy_mtl.Tok2VecListener.v1", "width": ENCODER["width"]}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": listener}
    nlp.add_pipe("multitask", config={"model": model, "heads": heads})
    nlp.initialize(lambda: [Example(unannotated(doc, nlp.vocab), doc) for doc in gold])
    return nlp


def measure_heads(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Prediction with more and more heads, as a share of the time of the encoder alone."""
    gold = read_docs(args.data, limit=args.docs)
    for index, doc in enumerate(gold):
        doc.cats = {f"{head}={label}": float((index + head) % 4 == label) for head in range(16) for label in range(4)}
    shares = {}
    for kind, sets in {"taggers": tagger_sets(), "classifiers": classifier_sets()}.items():
        shares[kind] = relative_cost(sets, gold, args.rounds)
    return shares


def tagger_sets() -> Iterable[dict[str, Any]]:
    for n in range(1, len(TAGGERS) + 1):
        yield dict(list(TAGGERS.items())[:n])


def classifier_sets() -> Iterable[dict[str, Any]]:
    for n in (1, 2, 4, 8, 16):
        yield {f"c{i}": {"@mtl_heads": "spacy_mtl.DocClassifier.v1", "label_prefix": f"{i}="} for i in range(n)}


def relative_cost(sets: Iterable[dict[str, Any]], gold: list[Doc], rounds: int) -> dict[str, float]:
    """RETURNS: by the number of heads, time over that of the encoder alone."""
    pipelines = [build(heads, gold) for heads in sets]
    runs = {"encoder": annotator([pipelines[0]], gold, pipes=["tok2vec"])}
    runs |= {str(len(nlp.get_pipe("multitask").heads)): annotator([nlp], gold) for nlp in pipelines}  # type: ignore[attr-defined]
    seconds = in_turn(runs, rounds=rounds)
    encoder = seconds.pop("encoder")
    return {n: median(a / b for a, b in zip(mine, encoder, strict=True)) for n, mine in seconds.items()}


def measure_length(args: argparse.Namespace) -> dict[str, float]:
    """One doc of this many tokens: microseconds and bytes a token for all heads together."""
    gold = read_docs(args.data, limit=args.docs)
    nlp = build(TAGGERS | {"ner": {"@mtl_heads": "spacy_mtl.EntityRecognizer.v1"}}, gold)
    words = [token.text for doc in gold for token in doc]
    words = (words * (args.length // len(words) + 1))[: args.length]
    nlp(Doc(nlp.vocab, words=words[:10]))
    base = peak_megabytes()
    times = []
    for _ in range(3):
        doc = Doc(nlp.vocab, words=words)
        start = time.perf_counter()
        nlp(doc)
        times.append(time.perf_counter() - start)
    added = peak_megabytes() - base
    return {
        "tokens": args.length,
        "microseconds_a_token": 1e6 * min(times) / args.length,
        "peak_megabytes_added": added,
    }


def measure_types(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Prediction and training with an entity recognizer, as a multiple of that with the least types."""
    gold = read_docs(args.data, limit=args.docs)
    runs, learners = {}, {}
    for n_types in args.types:
        docs = [with_types(doc, n_types, seed=index) for index, doc in enumerate(gold)]
        nlp = build({"ner": {"@mtl_heads": "spacy_mtl.EntityRecognizer.v1"}}, docs)
        runs[str(n_types)] = annotator([nlp], docs)
        learners[str(n_types)] = learner(nlp, docs[: args.docs // 4])
    results = {}
    for name, measured in {"predict": runs, "train": learners}.items():
        seconds = in_turn(measured, rounds=args.rounds)
        least = seconds[str(args.types[0])]
        results[name] = {n: median(a / b for a, b in zip(mine, least, strict=True)) for n, mine in seconds.items()}
    return results


def with_types(doc: Doc, n_types: int, *, seed: int) -> Doc:
    """A copy in which every third token is an entity, of one of this many types."""
    copy = unannotated(doc, doc.vocab)
    types = [f"T{(7 * (seed + start)) % n_types}" for start in range(0, len(doc), 3)]
    copy.set_ents([Span(copy, 3 * i, 3 * i + 1, label=name) for i, name in enumerate(types)])
    return copy


def learner(nlp: Language, gold: list[Doc]) -> Callable[[], Callable[[], object]]:
    """What gives what trains on the docs once."""
    examples = [Example(unannotated(doc, nlp.vocab), doc) for doc in gold]
    optimizer = nlp.resume_training()

    def run() -> None:
        for start in range(0, len(examples), 32):
            nlp.update(examples[start : start + 32], sgd=optimizer)

    return lambda: run


if __name__ == "__main__":
    main()
