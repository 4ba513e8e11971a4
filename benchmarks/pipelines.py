"""Speed of a pipeline beside spaCy's own components for the same tasks, on one encoder of the same size.

    python benchmarks/pipelines.py configs/cpu.cfg benchmarks/native_joint.cfg --data ../shared/data/snips
    python benchmarks/pipelines.py configs/tagging.cfg benchmarks/native_tagging.cfg --data ../shared/data/ewt

Both are trained for some steps first (or taken from `--output`, if they are there). Then they run in turn on the same
docs, in one process for each number of threads: A B A B. Ratios are medians over rounds, with the least and the
greatest. Words per second depend on the machine and on what else it does; the ratios much less.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

DATA = Path(os.environ.get("SPACY_MTL_DATA") or Path(__file__).parents[2] / "shared" / "data")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
BATCH_WORDS = 500
DROPOUT = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours", type=Path, help="a config")
    parser.add_argument("native", type=Path, help="a config")
    parser.add_argument("--data", type=Path, default=DATA / "snips", help="folder with train.spacy and dev.spacy")
    parser.add_argument("--output", type=Path, default=Path("training") / "bench")
    parser.add_argument("--steps", type=int, default=1500, help="of training, before the measurement")
    parser.add_argument("--docs", type=int, default=3072)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count()])
    args = parser.parse_args()
    models = [train(config, args) for config in (args.ours, args.native)]
    if len(args.threads) == 1:
        measure(models, args)
        return
    for n_threads in args.threads:
        # Thread pools take their size when they are first used, so each setting gets a process.
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(n_threads))}
        start = sys.argv.index("--threads") if "--threads" in sys.argv else len(sys.argv)
        rest = [*sys.argv[1:start], "--threads", str(n_threads)]
        subprocess.run([sys.executable, __file__, *rest], env=environment, check=True)


def train(config: Path, args: argparse.Namespace) -> Path:
    """RETURNS: where the trained pipeline lies."""
    output = Path(args.output) / f"{config.stem}-{args.data.name}"
    if not (output / "model-last").exists():
        steps = ["--training.max_steps", str(args.steps), "--training.eval_frequency", str(args.steps)]
        paths = ["--paths.train", str(args.data / "train.spacy"), "--paths.dev", str(args.data / "dev.spacy")]
        command = [sys.executable, "-m", "spacy", "train", str(config), "--output", str(output), *paths, *steps]
        print(f"training {config} for {args.steps} steps", flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return output / "model-last"


def measure(models: list[Path], args: argparse.Namespace) -> None:
    import spacy
    from spacy.tokens import DocBin

    pipelines = [spacy.load(model) for model in models]
    gold = list(DocBin().from_disk(args.data / "train.spacy").get_docs(spacy.blank("en").vocab))[: args.docs]
    n_words = sum(map(len, gold))
    singles = gold[:300]
    n_single = sum(map(len, singles))
    print(f"\n{args.data}, {n_words} words in {len(gold)} docs, batches of {args.batch_size} docs; ours: {args.ours}")
    print(f"{args.threads[0]} thread(s), words/s{'':8}{'native':>10}{'ours':>10}   ratio (least, greatest)")
    compare("predict", [lambda nlp=nlp: predict(nlp, gold, args.batch_size) for nlp in pipelines], n_words, args)
    encoders = [lambda nlp=nlp: predict(nlp, gold, args.batch_size, pipes=["tok2vec"]) for nlp in pipelines]
    compare("predict, encoder alone", encoders, n_words, args)
    compare("one text at a time", [lambda nlp=nlp: predict(nlp, singles, 1) for nlp in pipelines], n_single, args)
    for nlp, (total, encoder) in zip(pipelines, SPENT.values(), strict=True):
        print(f"{', '.join(nlp.pipe_names[1:])}: {100 * (total / encoder - 1):.0f} % on top of the encoder")
    learners = [learner(nlp, gold[: len(gold) // 3]) for nlp in pipelines]
    compare("train", learners, sum(map(len, gold[: len(gold) // 3])), args)


# seconds of each pipeline in prediction: of the whole, and of the encoder alone
SPENT: dict[str, list[float]] = {"ours": [], "native": []}


def compare(name: str, runs: list[Callable[[], float]], n_words: int, args: argparse.Namespace) -> None:
    """Run both in turn and print a row of the table."""
    for run in runs:
        run()
    times = [(runs[0](), runs[1]()) for _ in range(args.rounds)]
    ours, native = (median(side) for side in zip(*times, strict=True))
    if name.startswith("predict"):
        SPENT["ours"].append(ours)
        SPENT["native"].append(native)
    ratios = [theirs / mine for mine, theirs in times]
    spread = f"({min(ratios):.2f}, {max(ratios):.2f})"
    print(f"{name:<28}{n_words / native:>10,.0f}{n_words / ours:>10,.0f}   {median(ratios):5.2f} {spread}", flush=True)


def predict(nlp: Any, gold: list[Any], batch_size: int, *, pipes: list[str] | None = None) -> float:
    """RETURNS: seconds, from docs without annotation to annotated ones."""
    docs = [blank(doc, nlp.vocab) for doc in gold]
    with nlp.select_pipes(enable=pipes or nlp.pipe_names):
        start = time.perf_counter()
        if batch_size == 1:
            for doc in docs:
                nlp(doc)
        else:
            for _ in nlp.pipe(docs, batch_size=batch_size):
                pass
        return time.perf_counter() - start


def learner(nlp: Any, gold: list[Any]) -> Callable[[], float]:
    """RETURNS: what trains on the docs once, in batches by words as `spacy train` makes them, and gives the seconds."""
    from spacy.tokens import Doc
    from spacy.training import Example
    from spacy.training.batchers import minibatch_by_words

    docs = [Doc(nlp.vocab).from_bytes(doc.to_bytes()) for doc in gold]
    examples = [Example(blank(doc, nlp.vocab), doc) for doc in docs]
    batches = [list(batch) for batch in minibatch_by_words(examples, size=BATCH_WORDS)]
    optimizer = nlp.resume_training()

    def run() -> float:
        start = time.perf_counter()
        for batch in batches:
            nlp.update(batch, sgd=optimizer, drop=DROPOUT)
        return time.perf_counter() - start

    return run


def blank(doc: Any, vocab: Any) -> Any:
    from spacy.tokens import Doc

    return Doc(vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])


if __name__ == "__main__":
    main()
