"""Speed of a pipeline beside spaCy's own components for the same tasks, on one encoder of the same size.

    python benchmarks/speed/pipelines.py snips
    python benchmarks/speed/pipelines.py ewt
    python benchmarks/speed/pipelines.py ud

Both configs are trained for some steps first (or taken from `--output`, if they are there). Then four systems run in
turn on the same docs in one process: spaCy's joint pipeline; one spaCy pipeline a task; ours with spaCy's encoder;
ours. Ratios are medians over rounds, with the least and the greatest. Words per second depend on the machine and on
what else it does, the ratios much less. Results go to docs/benchmarks.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import spacy
from alternate import (
    annotator,
    compare,
    in_turn,
    peak_megabytes,
    print_rows,
    read_docs,
    run_with_threads,
    write_results,
)
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.batchers import minibatch_by_words
from spacy.util import registry
from spacy_encoder import with_spacy_encoder as spacy_config
from speed_options import DATA, ROOT, make_parser

from spacy_mtl.gold import unannotated
from spacy_mtl.onnx.export import export_pipeline

CONFIGS = {
    "snips": (ROOT / "configs" / "cpu.cfg", ROOT / "benchmarks" / "configs" / "native_joint.cfg"),
    "ewt": (ROOT / "configs" / "tagging.cfg", ROOT / "benchmarks" / "configs" / "native_tagging.cfg"),
    "ud": (ROOT / "configs" / "ud.cfg", ROOT / "benchmarks" / "configs" / "native_ud.cfg"),
}
# the folder of the corpus, where it has another name
CORPORA = {"ud": "ewt"}
NATIVE, SEPARATE, SLOW, OURS = "spaCy, joint", "spaCy, one pipeline a task", "ours, spaCy's encoder", "ours"
EXPORTED = "ours, ONNX encoder"
BATCH_WORDS = 500
# docs in the batches in which the encoder alone is measured, too
BATCH_SIZE = 256
DROPOUT = 0.1
# pipelines that run one after the other
SystemT = list[Language]


def main() -> None:
    parser = make_parser(
        __doc__,
        data=None,
        output=ROOT / "training" / "bench",
        steps=1500,
        docs=2048,
        batch_sizes=[32, 256, 1024],
        rounds=5,
        threads=sorted({1, os.cpu_count() or 1}),
    )
    parser.add_argument("task", choices=CONFIGS)
    parser.add_argument("--child", choices=["speed", "footprint"], help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.data = args.data or DATA / CORPORA.get(args.task, args.task)
    if args.child == "speed":
        print(json.dumps(measure_speed(args)))
    elif args.child == "footprint":
        print(json.dumps(measure_footprint(args)))
    else:
        measure(args)


def measure(args: argparse.Namespace) -> None:
    """Train both, then measure in processes of their own."""
    models = {name: train(config, args) for name, config in zip((OURS, NATIVE), CONFIGS[args.task], strict=True)}
    arguments = [*sys.argv[1:], "--child"]
    results: dict[str, Any] = {"footprint": {}}
    for n_threads in args.threads:
        print(f"\n{args.task}, {n_threads} thread(s)", flush=True)
        results[f"{n_threads} threads"] = run_with_threads(__file__, n_threads, [*arguments, "speed"])
    for name, model in models.items():
        footprint = run_with_threads(__file__, args.threads[-1], [*arguments, "footprint", "--model", model])
        results["footprint"][name] = footprint
        print(name, json.dumps(footprint))
    write_results(f"pipelines-{args.task}", results)


def train(config: Path, args: argparse.Namespace) -> Path:
    """RETURNS: where the trained pipeline lies."""
    model = model_path(config, args)
    if not model.exists():
        steps = ["--training.max_steps", str(args.steps), "--training.eval_frequency", str(args.steps)]
        paths = ["--paths.train", str(args.data / "train.spacy"), "--paths.dev", str(args.data / "dev.spacy")]
        command = [sys.executable, "-m", "spacy", "train", str(config), "--output", str(model.parent), *paths, *steps]
        print(f"training {config.name} for {args.steps} steps", flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return model


def model_path(config: Path, args: argparse.Namespace) -> Path:
    return Path(args.output) / f"{config.stem}-{args.data.name}" / "model-last"


def load_systems(args: argparse.Namespace) -> dict[str, SystemT]:
    ours, native = (model_path(config, args) for config in CONFIGS[args.task])
    tasks = [name for name in spacy.load(native).pipe_names if name != "tok2vec"]
    separate = [spacy.load(native, exclude=[other for other in tasks if other != task]) for task in tasks]
    return {
        NATIVE: [spacy.load(native)],
        SEPARATE: separate,
        SLOW: [with_spacy_encoder(spacy.load(ours))],
        OURS: [spacy.load(ours)],
    }


def with_spacy_encoder(nlp: Language) -> Language:
    """The same pipeline, whose encoder has the same weights and is computed by spaCy's layers."""
    pipe: Any = nlp.get_pipe("tok2vec")
    settings = spacy_config(nlp.config)["components"]["tok2vec"]["model"]
    fast = pipe.model
    pipe.model = registry.resolve({"model": settings})["model"]
    pipe.model.initialize(X=[nlp.make_doc("a sample")])
    pipe.model.from_bytes(fast.to_bytes())
    return nlp


def measure_speed(args: argparse.Namespace) -> dict[str, Any]:
    """Prediction, the encoder alone, one text at a time, and training."""
    systems = load_systems(args)
    gold = read_docs(args.data / "train.spacy", limit=args.docs)
    n_words = sum(map(len, gold))
    results: dict[str, Any] = {"words": n_words, "predict": {}}
    alone_at = BATCH_SIZE if BATCH_SIZE in args.batch_sizes else args.batch_sizes[0]
    for batch_size in args.batch_sizes:
        runs = {name: annotator(system, gold, batch_size) for name, system in systems.items()}
        if batch_size == alone_at:
            encoders = {name: annotator(systems[name], gold, batch_size, pipes=["tok2vec"]) for name in (NATIVE, OURS)}
            runs |= {f"{name}, encoder alone": run for name, run in encoders.items()}
        rows = compare(in_turn(runs, rounds=args.rounds), n_words, base=NATIVE)
        results["predict"][batch_size] = rows
        print_rows(f"prediction, batches of {batch_size} docs", rows)
    results["heads"] = {name: heads_share(results["predict"][alone_at], name) for name in (NATIVE, OURS)}
    print("cost on top of the encoder:", {name: f"{share:.0%}" for name, share in results["heads"].items()})
    results["latency"] = latency({NATIVE: systems[NATIVE], OURS: systems[OURS], EXPORTED: [exported(args)]}, gold[:300])
    results["train"] = measure_training(systems, gold[: args.docs // 2], args.rounds)
    return results


def exported(args: argparse.Namespace) -> Language:
    """Ours, its encoder in onnxruntime."""
    model = model_path(CONFIGS[args.task][0], args)
    output = model.with_name("exported")
    if not output.exists():
        export_pipeline(model, output)
    return spacy.load(output)


def heads_share(rows: Mapping[str, Any], name: str) -> float:
    """What all but the encoder costs, as a share of the encoder's cost."""
    return float(rows[f"{name}, encoder alone"]["words_per_second"] / rows[name]["words_per_second"] - 1)


def latency(systems: Mapping[str, SystemT], gold: list[Doc]) -> dict[str, dict[str, float]]:
    """Milliseconds for one text, in turn: median, 99th percentile, and the median's share of spaCy's."""
    times: dict[str, list[float]] = {name: [] for name in systems}
    for index, doc in enumerate([*gold[:50], *gold]):
        for name, (nlp,) in systems.items():
            text = unannotated(doc, nlp.vocab)
            start = time.perf_counter()
            nlp(text)
            if index >= 50:
                times[name].append(1000 * (time.perf_counter() - start))
    results = {}
    for name, mine in times.items():
        ordered = sorted(mine)
        results[name] = {"p50": ordered[len(ordered) // 2], "p99": ordered[int(0.99 * len(ordered))]}
    for result in results.values():
        result["share"] = result["p50"] / results[NATIVE]["p50"]
    print("milliseconds for one text:", json.dumps(results), flush=True)
    return results


def measure_training(systems: Mapping[str, SystemT], gold: list[Doc], rounds: int) -> dict[str, Any]:
    """nlp.update on the same batches, as `spacy train` calls it."""
    runs = {name: learner(system, gold) for name, system in systems.items()}
    rows = compare(in_turn(runs, rounds=rounds), sum(map(len, gold)), base=NATIVE)
    print_rows(f"training, batches of {BATCH_WORDS} words", rows)
    return rows


def learner(system: SystemT, gold: list[Doc]) -> Callable[[], Callable[[], object]]:
    """What gives what trains on the docs once."""

    def run() -> None:
        for nlp, batches, optimizer in prepared:
            for batch in batches:
                nlp.update(batch, sgd=optimizer, drop=DROPOUT)

    prepared = []
    for nlp in system:
        references = [Doc(nlp.vocab).from_bytes(doc.to_bytes()) for doc in gold]
        examples = [Example(unannotated(doc, nlp.vocab), doc) for doc in references]
        batches = [list(batch) for batch in minibatch_by_words(examples, size=BATCH_WORDS)]
        prepared.append((nlp, batches, nlp.create_optimizer()))
    return lambda: run


def measure_footprint(args: argparse.Namespace) -> dict[str, float]:
    """Seconds to load, megabytes on disk and the most in memory while it predicts."""
    base = peak_megabytes()
    start = time.perf_counter()
    nlp = spacy.load(args.model)
    seconds = time.perf_counter() - start
    for doc in read_docs(args.data / "train.spacy", limit=args.docs):
        nlp(unannotated(doc, nlp.vocab))
    size = sum(path.stat().st_size for path in args.model.rglob("*") if path.is_file()) / 2**20
    return {"load_seconds": seconds, "disk_megabytes": size, "peak_megabytes_added": peak_megabytes() - base}


if __name__ == "__main__":
    main()
