"""What the thresholds for a GPU are measured by.

    python benchmarks/gpu_thresholds.py --model sentence-transformers/all-MiniLM-L6-v2

`GPU_BATCH_COST` (layers/piece_batches.py): a transformer's time by the pieces that it reads at once; what the calls
cost, in pieces, is the time of the smallest batch over the time of each piece more. `FEW_NUMBERS` (layers/crf.py): the
CRF's loss and gradient in main memory, with the way there and back, beside those on the GPU, by the numbers of a step.
Milliseconds, medians.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from alternate import DATA, read_docs
from thinc.api import get_current_ops, require_gpu, set_gpu_allocator
from thinc.util import to_numpy
from transformer import FAST, load

from spacy_mtl.crf.likelihood import likelihood_loss
from spacy_mtl.crf.linear_chain import CRFScores, constrain
from spacy_mtl.crf.tag_scheme import make_tag_scheme
from spacy_mtl.encoders.transformer.transformer_encoder import plan_batches, to_torch
from spacy_mtl.gold import unannotated

DOCS = (32, 128, 256, 512, 1024, 2048, 4096)
TYPES = (4, 39, 150)
SEQUENCES = (8, 32, 64, 128, 256, 512)
LONGEST = (20, 200)
MAX_TOKENS = 30_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder, or a name on the Hugging Face hub")
    parser.add_argument("--data", type=Path, default=DATA / "snips", help="folder with train.spacy")
    parser.add_argument("--gpu-id", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    set_gpu_allocator("pytorch")
    require_gpu(args.gpu_id)
    measure_batches(args)
    measure_crf(args)


def measure_batches(args: argparse.Namespace) -> None:
    """Docs that are read at once: pieces, and milliseconds of training and of prediction."""
    gold = read_docs(args.data / "train.spacy", limit=max(DOCS))
    settings = SimpleNamespace(model=args.model, data=args.data, gpu_id=args.gpu_id)
    nlp = load(FAST, settings, gold)
    encoder = nlp.get_pipe("multitask").encoder.get_ref("tok2vec")
    encoder.attrs["max_batch"] = 10**9
    shim = encoder.shims[0]
    for n_docs in DOCS:
        batches = plan_batches(encoder, [unannotated(doc, nlp.vocab) for doc in gold[:n_docs]])
        inputs = [to_torch(batch, shim.device)[0] for batch in batches]

        def train(inputs: list[Any] = inputs) -> None:
            readings = [shim.read(X, is_train=True) for X in inputs]
            shim.backprop(readings, [torch.ones_like(reading.output) for reading in readings])

        def predict(inputs: list[Any] = inputs) -> None:
            for X in inputs:
                shim.read(X, is_train=False)

        n_pieces = sum(batch.ids.size for batch in batches)
        times = [milliseconds(run, args.rounds) for run in (train, predict)]
        print(
            f"{n_docs:>6} docs {len(batches):>2} batches {n_pieces:>8} pieces {times[0]:>8.2f} {times[1]:>8.2f}",
            flush=True,
        )


def measure_crf(args: argparse.Namespace) -> None:
    """Tags, sequences, the longest of them, numbers of an average step; milliseconds near and on the GPU."""
    rng = np.random.default_rng(0)
    for n_types in TYPES:
        scheme = make_tag_scheme("BIO", n_types)
        for longest in LONGEST:
            for n_docs in SEQUENCES:
                lengths = rng.integers(longest // 4, longest + 1, size=n_docs)
                if lengths.sum() > MAX_TOKENS:
                    continue
                shapes = ((lengths.sum(), scheme.n_tags), (scheme.n_tags, scheme.n_tags), scheme.n_tags, scheme.n_tags)
                parts = [get_current_ops().asarray(rng.normal(size=shape).astype("f")) for shape in shapes]
                scores = CRFScores(*parts, lengths, np.arange(lengths.sum()))
                times = [milliseconds(partial(run, scores, scheme), args.rounds) for run in (near, far)]
                n_numbers = scores.emissions.size / lengths.max()
                print(
                    f"{scheme.n_tags:>4} tags {n_docs:>4} sequences {longest:>4} longest {n_numbers:>8.0f} numbers"
                    f" {times[0]:>8.2f} {times[1]:>8.2f}",
                    flush=True,
                )


def near(scores: CRFScores, scheme: Any) -> None:
    """Loss and gradient in main memory."""
    gradient = far(scores.with_potentials(map(to_numpy, scores.potentials)), scheme)
    for part in gradient.potentials:
        get_current_ops().asarray(part)


def far(scores: CRFScores, scheme: Any) -> CRFScores:
    """Loss and gradient where the scores are. RETURNS: the gradient."""
    tags = np.zeros(len(scores.kept), dtype="int64")
    _, gradient = likelihood_loss(constrain(scores, scheme), tags, np.zeros((0, 0), dtype=bool))
    return gradient


def milliseconds(run: Callable[[], object], rounds: int) -> float:
    """The median of the rounds, after one that is not counted."""
    times = []
    for _ in range(rounds + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return median(times[1:])


if __name__ == "__main__":
    main()
