"""The fast encoder in torch, in numpy and in onnxruntime, and there with products in 8-bit integers, on one thread.

    python benchmarks/speed/onnx_encoder.py --data ../shared/data/snips/train.spacy

Each row is a mode: prediction with the words of earlier batches known (warm) or forgotten before each round (cold), and
one doc at a time. The first column is words per second of CPU time in torch; the others are torch's time over
theirs, so that more than 1 is faster, in turns on the same batches, as medians over rounds with the least and the
greatest.
"""

import io
import logging
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from spacy.lang.en import English
from spacy.tokens import Doc, DocBin
from spacy.vocab import create_vocab
from speed_options import DATA, make_parser

from spacy_mtl.encoders.hash_embed_cnn import kernels
from spacy_mtl.encoders.hash_embed_cnn.hash_embed_cnn import make_hash_embed_cnn_v1
from spacy_mtl.onnx.export import to_onnx
from spacy_mtl.threads import parallel

SETTINGS = {"width": 96, "depth": 4, "embed_size": 2000, "window_size": 1, "maxout_pieces": 3}
ModesT = dict[str, tuple[list[list[Doc]], bool]]


def main() -> None:
    parser = make_parser(
        __doc__, data=DATA / "snips" / "train.spacy", docs=256 * 4, batch_size=256, rounds=15, boundary="padded"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    vocab = create_vocab("en", English.Defaults)
    docs = list(DocBin().from_disk(args.data).get_docs(vocab))[: args.docs]
    batches = [docs[i : i + args.batch_size] for i in range(0, len(docs), args.batch_size)]
    fast = make_hash_embed_cnn_v1(
        **SETTINGS, subword_features=True, pretrained_vectors=None, boundary=args.boundary
    ).initialize(X=docs[:10])
    exported = to_onnx(fast, vocab)
    in_int8 = quantised(exported)
    runners = {
        "torch": lambda docs: fast.predict(docs),
        "numpy": lambda docs: without_torch(fast, docs),
        "onnxruntime": lambda docs: exported.predict(docs),
        "onnxruntime, int8": lambda docs: in_int8.predict(docs),
    }
    print(f"{args.data}, batches of {args.batch_size} docs, boundary {args.boundary}, one thread")
    print(f"{'':<16}{'words/s':>10}" + "".join(f"{name:>24}" for name in list(runners)[1:]))
    singly = [[doc] for doc in docs[:50]]
    modes: ModesT = {"warm": (batches, False), "cold": (batches, True), "one doc": (singly, False)}
    for name, (mode_batches, cold) in modes.items():
        caches = [fast.attrs["words"], *(network_of(model).cache for model in (exported, in_int8))]
        forget = [cache.clear for cache in caches]
        print(f"{name:<16}" + compare(runners, mode_batches, forget if cold else [], rounds=args.rounds))


def compare(
    runners: dict[str, Callable[[list[Doc]], Any]],
    batches: list[list[Doc]],
    forget: list[Callable[[], None]],
    *,
    rounds: int,
) -> str:
    """RETURNS: The rest of the mode's row."""
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds + 1):
        for name, run in runners.items():
            for clear in forget:
                clear()
            start = time.process_time()
            for batch in batches:
                run(batch)
            times[name].append(time.process_time() - start)
    base = times.pop("torch")[1:]
    n_words = sum(len(doc) for batch in batches for doc in batch)
    cells = [f"{n_words / median(base):>10,.0f}"]
    for own in times.values():
        ratios = [a / b for a, b in zip(base, own[1:], strict=True)]
        cells.append(f"{f'{median(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f})':>24}")
    return "".join(cells)


def without_torch(model: Any, docs: list[Doc]) -> Any:
    kernels.has_torch = parallel.has_torch = False
    try:
        return model.predict(docs)
    finally:
        kernels.has_torch = parallel.has_torch = True


def network_of(model: Any) -> Any:
    return model.attrs["state"].read(model.attrs["graphs"])


def quantised(exported: Any) -> Any:
    """A copy whose products are of 8-bit integers."""
    logging.disable(logging.WARNING)
    model = exported.copy()
    for name, graph in exported.attrs["graphs"].items():
        content = io.BytesIO()
        settings = {"weight_type": QuantType.QInt8, "op_types_to_quantize": ["MatMul", "Gemm"]}
        quantize_dynamic(onnx.load_from_string(graph), content, per_channel=True, reduce_range=True, **settings)
        model.attrs["graphs"][name] = content.getvalue()
    return model


if __name__ == "__main__":
    main()
