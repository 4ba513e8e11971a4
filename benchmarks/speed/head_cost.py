"""What a head costs in prediction, on top of the encoder, or of other heads.

    python benchmarks/speed/head_cost.py training/ud/model-best ../shared/data/ewt/test.spacy --head parser
    python benchmarks/speed/head_cost.py training/relations/model-best corpus/relations/test.spacy --head relations \\
        --beside ents --entities 10

Pipelines are extracted from the trained one: with the head and without it. They annotate the same docs in turn, on gold
tokens. The cost is the CPU time with the head divided by that without it, minus 1: median over rounds, least and
greatest. `--functions 30` also prints where the time of the pipeline with the head goes.
"""

import argparse
import cProfile
import json
import pstats
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import spacy
from alternate import annotator, in_turn, read_docs, run_with_threads
from spacy.language import Language
from spacy.tokens import Doc
from speed_options import make_parser

from spacy_mtl.pipeline.extraction import extract
from spacy_mtl.protocols.fits import fits
from spacy_mtl.protocols.head import HasHeads

WITH, WITHOUT = "with the head", "without it"


def main() -> None:
    parser = make_parser(__doc__, docs=None, rounds=15, batch_size=256)
    parser.add_argument("model", help="trained pipeline: a folder or an installed package")
    parser.add_argument("data", type=Path, help=".spacy file of docs to annotate")
    parser.add_argument("--head", required=True, help="the head to measure")
    parser.add_argument("--beside", nargs="+", default=[], help="heads that are there anyway; none for the encoder")
    parser.add_argument("--entities", type=int, help="only docs with so many gold entities at most")
    parser.add_argument("--functions", type=int, default=0, help="number of functions in the profile; 0 for none")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args)))
        return
    found = run_with_threads(__file__, 1, [*arguments_of(args), "--child"])
    cost = found["cost"]
    print(
        f"{args.head} on top of {', '.join(args.beside) or 'the encoder'}: {cost['median']:+.1%} "
        f"({cost['least']:+.1%} to {cost['greatest']:+.1%}), {found['docs']} docs, {found['words']} words"
    )


def arguments_of(args: argparse.Namespace) -> list[object]:
    """The arguments of the process that measures."""
    options: list[object] = [args.model, args.data, "--head", args.head, "--rounds", args.rounds]
    options += ["--batch-size", args.batch_size, "--functions", args.functions]
    options += ["--beside", *args.beside] if args.beside else []
    options += [] if args.entities is None else ["--entities", args.entities]
    return options + ([] if args.docs is None else ["--docs", args.docs])


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure one head. RETURNS: its cost, and what it was measured on."""
    nlp = spacy.load(args.model)
    gold = [doc for doc in read_docs(args.data, limit=args.docs) if is_small(doc, args.entities)]
    whole = extract(nlp, [args.head, *args.beside])
    part = extract(nlp, args.beside) if args.beside else whole
    runs = {
        WITH: annotator([whole], gold, args.batch_size),
        WITHOUT: annotator([part], gold, args.batch_size, pipes=None if args.beside else encoder_of(whole)),
    }
    seconds = in_turn(runs, rounds=args.rounds, clock=time.process_time, shuffle=True)
    if args.functions:
        print_profile(runs[WITH](), args.functions)
    return {"cost": cost_of(seconds[WITH], seconds[WITHOUT]), "docs": len(gold), "words": sum(map(len, gold))}


def is_small(doc: Doc, n_entities: int | None) -> bool:
    """Whether a doc has so many entities at most."""
    return n_entities is None or len(doc.ents) <= n_entities


def encoder_of(nlp: Language) -> list[str]:
    """The pipes that the component with heads listens to."""
    pipes = [name for name, pipe in nlp.pipeline if not fits(pipe, HasHeads)]
    if not pipes:
        raise SystemExit("the encoder is inside the component; name heads to measure beside with --beside")
    return pipes


def cost_of(with_head: Sequence[float], without: Sequence[float]) -> dict[str, float]:
    """The share by which a round takes longer with the head."""
    shares = [mine / theirs - 1 for mine, theirs in zip(with_head, without, strict=True)]
    return {"median": median(shares), "least": min(shares), "greatest": max(shares)}


def print_profile(run: Callable[[], object], n_functions: int) -> None:
    """Print the functions that take the most time of one run, without those that they call."""
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(run)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(n_functions)


if __name__ == "__main__":
    main()
