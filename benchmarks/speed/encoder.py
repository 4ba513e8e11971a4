"""Words per second of spaCy's HashEmbedCNN and of ours, turn by turn on the same batches.

    python benchmarks/speed/encoder.py --data ../shared/data/snips/train.spacy --threads 1 2

Each row is a mode: prediction with the words of earlier batches known (warm) or forgotten before each round (cold), one
doc at a time, and training without and with dropout. Ratios are medians over rounds, with the least and the greatest.
What can be gained depends on how fast the processor multiplies matrices through each library, so that comes first.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy
import torch
from speed_options import DATA, make_parser

SETTINGS = {"width": 96, "depth": 4, "embed_size": 2000, "window_size": 1, "maxout_pieces": 3}


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA / "snips" / "train.spacy",
        docs=256 * 12,
        batch_size=256,
        rounds=7,
        boundary="padded",
        threads=[1, os.cpu_count()],
    )
    args = parser.parse_args()
    if len(args.threads) == 1:
        measure(args)
        return
    for n_threads in args.threads:
        # Thread pools take their size when they are first used, so each setting gets a process.
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, str(n_threads))}
        start = sys.argv.index("--threads") if "--threads" in sys.argv else len(sys.argv)
        rest = [*sys.argv[1:start], "--threads", str(n_threads)]
        subprocess.run([sys.executable, __file__, *rest], env=environment, check=True)


def measure(args: argparse.Namespace) -> None:
    from spacy.lang.en import English
    from spacy.ml.models.tok2vec import build_hash_embed_cnn_tok2vec
    from spacy.tokens import DocBin
    from spacy.vocab import create_vocab
    from thinc.api import set_dropout_rate

    from spacy_mtl.encoders.hash_embed_cnn.hash_embed_cnn import load_spacy_weights, make_hash_embed_cnn_v1

    vocab = create_vocab("en", English.Defaults)
    docs = list(DocBin().from_disk(args.data).get_docs(vocab))[: args.docs]
    batches = [docs[i : i + args.batch_size] for i in range(0, len(docs), args.batch_size)]
    n_words = sum(len(doc) for doc in docs)
    settings = {**SETTINGS, "subword_features": True, "pretrained_vectors": None}
    theirs = build_hash_embed_cnn_tok2vec(**settings).initialize(X=docs[:10])
    ours = make_hash_embed_cnn_v1(**settings, boundary=args.boundary).initialize(X=docs[:10])
    load_spacy_weights(ours, theirs)
    print(f"{args.data}, {n_words} words, batches of {args.batch_size} docs, boundary {args.boundary}")
    print(
        f"matrix products, one thread, GFLOP/s: spaCy's {gflops(theirs.ops.gemm):.0f}, torch's {gflops(torch_gemm):.0f}"
    )
    print(f"{args.threads[0]} thread(s){'':6}{'spaCy':>10}{'ours':>10}   ratio (least, greatest)   ratio of CPU time")

    def predict(model, *, cold=False):
        if cold:
            model.attrs["words"].clear()
        for batch in batches:
            model.predict(batch)

    def predict_singly(model):
        for doc in docs[:500]:
            model.predict([doc])

    def train(model, *, dropout):
        set_dropout_rate(model, dropout)
        for batch in batches:
            Y, backprop = model.begin_update(batch)
            backprop(Y)
        set_dropout_rate(model, 0.0)

    modes = {
        "predict, warm": (lambda: predict(theirs), lambda: predict(ours)),
        "predict, cold": (lambda: predict(theirs), lambda: predict(ours, cold=True)),
        "predict, one doc": (lambda: predict_singly(theirs), lambda: predict_singly(ours)),
        "train": (lambda: train(theirs, dropout=0.0), lambda: train(ours, dropout=0.0)),
        "train, dropout 0.1": (lambda: train(theirs, dropout=0.1), lambda: train(ours, dropout=0.1)),
    }
    for name, (run_theirs, run_ours) in modes.items():
        run_ours()
        times = [(timed(run_theirs), timed(run_ours)) for _ in range(args.rounds)]
        ratios = [a[0] / b[0] for a, b in times]
        cpu = median(a[1] / b[1] for a, b in times)
        n = sum(len(doc) for doc in docs[:500]) if name == "predict, one doc" else n_words
        speeds = [n / median(side[0] for side in sides) for sides in zip(*times, strict=True)]
        spread = f"({min(ratios):.2f}, {max(ratios):.2f})"
        print(f"{name:<20}{speeds[0]:>10,.0f}{speeds[1]:>10,.0f}   {median(ratios):5.2f} {spread:<20}{cpu:10.2f}")


def gflops(multiply: Callable[..., object]) -> float:
    """Speed at the shape that the encoder multiplies most."""
    rng = numpy.random.default_rng(0)
    X, W = rng.random((1024, 96), dtype="f"), rng.random((96, 288), dtype="f")
    multiply(X, W)
    seconds = min(timed(lambda: multiply(X, W))[0] for _ in range(50))
    return 2 * X.size * W.shape[1] / seconds / 1e9


def torch_gemm(X: numpy.ndarray, W: numpy.ndarray) -> object:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    Y = torch.from_numpy(X) @ torch.from_numpy(W)
    torch.set_num_threads(n_threads)
    return Y


def timed(run: Callable[[], None]) -> tuple[float, float]:
    """Seconds on the clock, and of CPU time of all threads."""
    start, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - cpu


if __name__ == "__main__":
    main()
