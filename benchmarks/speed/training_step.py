"""Where the time of a training step goes: CPU time of its parts, in microseconds a word, on one thread.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/speed/training_step.py --data ../shared/data/snips
    … training_step.py --data ../shared/data/ewt --config configs/tagging.cfg

Steps of `spacy train` on batches of about 500 words. Parts are timed by wrapping their functions. "matrix products" is
what torch's profiler counts of them, in a second pass; they are part of the rows above.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import spacy.language
from spacy.language import Language
from spacy.pipeline.tok2vec import Tok2Vec
from spacy.training import Example
from spacy.training.batchers import minibatch_by_words
from spacy.training.initialize import init_nlp
from spacy.util import load_config, registry
from speed_options import REQUIRED, ROOT, make_parser
from thinc.api import Optimizer
from torch.profiler import ProfilerActivity, profile

import spacy_mtl.registry  # noqa: F401
from spacy_mtl.encoders.hash_embed_cnn import forward
from spacy_mtl.network import run_heads
from spacy_mtl.pipeline import backward_pass, training_step
from spacy_mtl.pipeline.multitask import Multitask

N_DOCS, N_WARM, WORDS = 4000, 10, 500
PRODUCTS = ("aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm")


def main() -> None:
    parser = make_parser(__doc__, data=REQUIRED, config=ROOT / "configs" / "cpu.cfg", steps=100)
    args = parser.parse_args()
    paths = {f"paths.{split}": str(args.data / f"{split}.spacy") for split in ("train", "dev")}
    nlp = init_nlp(load_config(args.config, paths))
    settings = registry.resolve(nlp.config.interpolate()["training"])
    corpus = registry.resolve(nlp.config.interpolate()["corpora"])["train"]
    examples = [eg for eg, _ in zip(corpus(nlp), range(N_DOCS), strict=False)]
    batches = list(minibatch_by_words(examples, size=WORDS, tolerance=0.2))
    optimizer, drop = settings["optimizer"], settings["dropout"]
    learn(nlp, batches[:N_WARM], optimizer, drop)
    chosen = [batches[index % len(batches)] for index in range(args.steps)]
    n_words = sum(len(eg.reference) for batch in chosen for eg in batch)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        learn(nlp, chosen, optimizer, drop)
    seconds = watch_parts()
    start = time.process_time()
    learn(nlp, chosen, optimizer, drop)
    total = time.process_time() - start
    rows = rows_of(seconds, total)
    events: Any = profiled.key_averages()
    rows["matrix products"] = sum(event.self_cpu_time_total for event in events if event.key in PRODUCTS) / 1e6
    print("| part | microseconds a word | share |\n|---|---:|---:|")
    for name, spent in (rows | {"the whole step": total}).items():
        print(f"| {name} | {1e6 * spent / n_words:.1f} | {100 * spent / total:.0f} % |")


def learn(nlp: Language, batches: list[list[Example]], optimizer: Optimizer, drop: float) -> None:
    """Train as spaCy's loop does."""
    for batch in batches:
        nlp.update(batch, drop=drop, losses={}, sgd=False)  # type: ignore[arg-type]
        for _, pipe in nlp.pipeline:
            pipe.finish_update(optimizer)  # type: ignore[attr-defined]
        optimizer.step_schedules()


def watch_parts() -> Counter[str]:
    """Time the parts from now on. RETURNS: Seconds by part, which grow."""
    seconds: Counter[str] = Counter()

    def watch(owner: Any, name: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[name if owner is not Tok2Vec and owner is not Multitask else f"{owner.__name__}.{name}"] += (
                    time.process_time() - start
                )

        setattr(owner, name, timed)

    watch(spacy.language, "_copy_examples")
    watch(forward, "_train")
    watch(run_heads.HeadsRun, "_backprop_heads")
    for pipe in (Tok2Vec, Multitask):
        for method in ("update", "finish_update"):
            watch(pipe, method)
    watch(backward_pass.BackwardPass, "backprop")
    for name in ("get_losses", "run_heads", "update_constraints"):
        watch(training_step, name)
    return seconds


def rows_of(seconds: Counter[str], total: float) -> dict[str, float]:
    """The parts, none of which contains another one."""
    rows = {
        "encoder, forward": seconds["_train"],
        "encoder, backward": seconds["backprop"] - seconds["_backprop_heads"],
        "losses and their gradients": seconds["get_losses"],
        "heads, forward and backward": seconds["run_heads"] + seconds["_backprop_heads"],
        "optimizer": seconds["Tok2Vec.finish_update"] + seconds["Multitask.finish_update"],
        "spaCy's copies of the examples": seconds["_copy_examples"],
        "spaCy's tok2vec pipe, without the encoder": seconds["Tok2Vec.update"] - seconds["_train"],
        "gold for joint decoding": seconds["update_constraints"],
    }
    return rows | {"the rest": total - sum(rows.values())}


if __name__ == "__main__":
    main()
