"""Speed on a pretrained transformer, beside a plain hand-written PyTorch loop and beside spaCy's own components.

    python benchmarks/speed/transformers_speed.py --model sentence-transformers/all-MiniLM-L6-v2

Intents and slots on SNIPS. In turn, on the same docs in one process: spacy-transformers with ner and textcat; the loop
of `hand_written_joint_bert.py`; `configs/transformer.cfg` (multitask on spacy-transformers); and
`configs/transformer_fast.cfg`. The ratios are medians over rounds, with the least and the greatest. Then the peak
memory of each, in its own process. With `--gpu-id 0` all of it on that GPU, and multitask with 16 bits, torch.compile
and with a larger max_batch.
"""

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import spacy
import torch
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
from hand_written_joint_bert import HandWritten
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_config, minibatch
from speed_options import DATA, REQUIRED, ROOT, make_parser
from thinc.api import require_gpu, set_gpu_allocator

from spacy_mtl.gold import unannotated

NATIVE, HAND, FAST = "spaCy", "hand-written loop", "multitask on TransformerEncoder"
CONFIGS = {
    NATIVE: ROOT / "benchmarks" / "configs" / "native_transformer.cfg",
    "multitask on spacy-transformers": ROOT / "configs" / "transformer.cfg",
    FAST: ROOT / "configs" / "transformer_fast.cfg",
}
# further systems on a GPU, as settings of the encoder
ON_GPU = {
    "the same, 16 bits": {"mixed_precision": True},
    "the same, compiled": {"compiled": True},
    "the same, max_batch 16384": {"max_batch": 16384},
}
BATCH = 32
SAMPLE = 2000


def main() -> None:
    parser = make_parser(
        __doc__, model=REQUIRED, data=DATA / "snips", docs=512, rounds=3, threads=[1], gpu_id=-1, batches=[BATCH]
    )
    parser.add_argument("--systems", nargs="+", default=[*CONFIGS, *ON_GPU], help="beside the hand-written loop")
    parser.add_argument("--child", choices=["speed", "memory"], help=argparse.SUPPRESS)
    parser.add_argument("--system", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.gpu_id >= 0:
        set_gpu_allocator("pytorch")
        require_gpu(args.gpu_id)
    if args.child == "speed":
        print(json.dumps(measure_speed(args)))
    elif args.child == "memory":
        print(json.dumps(measure_memory(args)))
    else:
        measure(args)


def measure(args: argparse.Namespace) -> None:
    """Each number of threads, and the memory of each system, in processes of their own."""
    arguments = ["--model", args.model, "--data", args.data, "--docs", args.docs, "--rounds", args.rounds]
    arguments += ["--gpu-id", args.gpu_id, "--batches", *args.batches, "--systems", *args.systems, "--child"]
    results: dict[str, Any] = {"memory": {}}
    for n_threads in args.threads:
        results[f"{n_threads} threads"] = run_with_threads(__file__, n_threads, [*arguments, "speed"])
    systems = systems_of(args)
    # on a GPU each process counts its own arrays
    with ThreadPoolExecutor(1 if args.gpu_id < 0 else len(systems)) as pool:
        commands = [[*arguments, "memory", "--system", name] for name in systems]
        runs = [pool.submit(run_with_threads, __file__, 1, command) for command in commands]
    for system, run in zip(systems, runs, strict=True):
        results["memory"][system] = run.result()
        print(f"{system:<36}{results['memory'][system]}", flush=True)
    if args.gpu_id >= 0:
        results["device"] = torch.cuda.get_device_name(args.gpu_id)
    write_results("transformer" if args.gpu_id < 0 else "transformer_gpu", results)


def systems_of(args: argparse.Namespace) -> list[str]:
    """What is measured."""
    known = [*CONFIGS, *(ON_GPU if args.gpu_id >= 0 else ())]
    return [*(name for name in known if name in args.systems), HAND]


def load(system: str, args: argparse.Namespace, gold: list[Doc]) -> Any:
    """The system with pretrained weights and fresh heads."""
    if system == HAND:
        return HandWritten(args.model, gold, device="cpu" if args.gpu_id < 0 else f"cuda:{args.gpu_id}")
    train = str(args.data / "train.spacy")
    overrides = {"paths.transformer": args.model, "paths.train": train, "paths.dev": train}
    for name, value in ON_GPU.get(system, {}).items():
        overrides[f"components.multitask.model.tok2vec.{name}"] = value
    config = load_config(CONFIGS[FAST if system in ON_GPU else system], overrides=overrides)
    nlp = spacy.util.load_model_from_config(config, auto_fill=True)
    nlp.initialize(lambda: [Example(unannotated(doc, nlp.vocab), own(doc, nlp)) for doc in gold])
    return nlp


def measure_speed(args: argparse.Namespace) -> dict[str, Any]:
    """Training first, so that the heads have something to say when prediction is measured."""
    gold = read_docs(args.data / "train.spacy", limit=SAMPLE)
    systems = {name: load(name, args, gold) for name in systems_of(args)}
    docs = gold[: args.docs]
    n_words = sum(map(len, docs))
    results: dict[str, Any] = {}
    for size in args.batches:
        runs = {name: synchronised(learner(system, docs, size), args) for name, system in systems.items()}
        results[f"train {size}"] = compare(in_turn(runs, rounds=args.rounds), n_words, base=HAND)
        title = f"training, batches of {size} docs, words per second and times the hand-written loop"
        print_rows(title, results[f"train {size}"])
    for size in (BATCH, 256):
        runs = {name: synchronised(predictor(system, docs, size), args) for name, system in systems.items()}
        results[f"predict {size}"] = compare(in_turn(runs, rounds=args.rounds), n_words, base=HAND)
        print_rows(f"prediction, batches of {size} docs", results[f"predict {size}"])
    return results


def learner(system: Any, docs: list[Doc], size: int) -> Callable[[], Callable[[], object]]:
    """What gives what trains on the docs once."""
    if isinstance(system, HandWritten):
        return lambda: lambda: system.train_on(docs, batch_size=size)
    nlp: Language = system
    optimizer = spacy.util.registry.resolve({"o": nlp.config["training"]["optimizer"]})["o"]
    batches = list(minibatch([Example(unannotated(doc, nlp.vocab), own(doc, nlp)) for doc in docs], size))

    def run() -> None:
        for batch in batches:
            nlp.update(batch, sgd=optimizer, drop=0.1)
            optimizer.step_schedules()

    return lambda: run


def predictor(system: Any, docs: list[Doc], size: int) -> Callable[[], Callable[[], object]]:
    """What gives what annotates the docs once."""
    if isinstance(system, HandWritten):
        return lambda: lambda: system.annotate(docs, batch_size=size)
    return annotator([system], docs, size)


def synchronised(
    prepare: Callable[[], Callable[[], object]], args: argparse.Namespace
) -> Callable[[], Callable[[], object]]:
    """The same, that waits for the GPU at its end."""
    if args.gpu_id < 0:
        return prepare

    def prepare_one() -> Callable[[], object]:
        run = prepare()

        def run_to_the_end() -> None:
            run()
            torch.cuda.synchronize()

        return run_to_the_end

    return prepare_one


def own(doc: Doc, nlp: Language) -> Doc:
    """The doc in the pipeline's vocabulary."""
    return Doc(nlp.vocab).from_bytes(doc.to_bytes())


def measure_memory(args: argparse.Namespace) -> dict[str, float]:
    """Megabytes that training, and then prediction, add to those of the libraries; on a GPU those of its arrays."""
    gold = read_docs(args.data / "train.spacy", limit=SAMPLE)
    base = peak_megabytes()
    system = load(args.system, args, gold)
    learner(system, gold[: args.docs], args.batches[0])()()
    predictor(system, gold[: args.docs], BATCH)()()
    if args.gpu_id >= 0:
        return {"peak_megabytes": round(torch.cuda.max_memory_allocated() / 2**20, 1)}
    return {"peak_megabytes_added": round(peak_megabytes() - base, 1)}


if __name__ == "__main__":
    main()
