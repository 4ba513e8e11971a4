"""What the speed benchmarks share: processes with a set number of threads, runs in turn, and results as JSON."""

import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from speed_options import ROOT

from spacy_mtl.gold import unannotated

RESULTS = ROOT / "docs" / "benchmarks"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


def run_with_threads(script: str, n_threads: int, arguments: Iterable[object]) -> Any:
    """Run the script in a process of its own: thread pools take their size when they are first used.

    RETURNS: what it printed last, read as JSON. All else that it prints is passed on.
    """
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(n_threads))}
    command = [sys.executable, script, *map(str, arguments)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            if last:
                print(last, end="", flush=True)
            last = line
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} stopped with exit code {process.returncode}")
    return json.loads(last)


def in_turn(
    prepare: Mapping[str, Callable[[], Callable[[], object]]],
    *,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    shuffle: bool = False,
) -> dict[str, list[float]]:
    """Run each once, then all in turn `rounds` times: A B A B. RETURNS: the seconds of each, round by round.

    prepare: Called before each run, and not timed; it gives what is.
    clock: What reads the time. `time.process_time` leaves out the time in which other work had the core.
    shuffle: Whether each round has an order of its own, so that none always follows the same one.
    """
    for prepare_one in prepare.values():
        prepare_one()()
    seconds: dict[str, list[float]] = {name: [] for name in prepare}
    names = list(prepare)
    rng = random.Random(0)
    for _ in range(rounds):
        if shuffle:
            rng.shuffle(names)
        for name in names:
            run = prepare[name]()
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return seconds


def compare(seconds: Mapping[str, list[float]], n_words: int, *, base: str) -> dict[str, dict[str, Any]]:
    """Words per second of each, and how many times as fast as `base` it is: median, least and greatest over rounds."""
    rows = {}
    for name, mine in seconds.items():
        ratios = [theirs / own for theirs, own in zip(seconds[base], mine, strict=True)]
        ratio = {"median": median(ratios), "least": min(ratios), "greatest": max(ratios)}
        rows[name] = {"words_per_second": n_words / median(mine), "ratio": ratio}
    return rows


def print_rows(title: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """One line a system."""
    print(title)
    for name, row in rows.items():
        ratio = row["ratio"]
        spread = f"({ratio['least']:.2f} to {ratio['greatest']:.2f})"
        print(f"  {name:<28}{row['words_per_second']:>10,.0f} words/s {ratio['median']:>7.2f} x {spread}", flush=True)


def read_docs(path: Path, *, limit: int | None) -> list[Doc]:
    """The first docs of a .spacy file; None for all."""
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))[:limit]


def annotator(
    system: list[Language], gold: list[Doc], batch_size: int = 256, *, pipes: list[str] | None = None
) -> Callable[[], Callable[[], object]]:
    """What prepares docs without annotation, and gives what annotates them with one pipeline after the other."""

    def prepare() -> Callable[[], object]:
        docs = [[unannotated(doc, nlp.vocab) for doc in gold] for nlp in system]

        def run() -> None:
            for nlp, batch in zip(system, docs, strict=True):
                with nlp.select_pipes(enable=pipes or nlp.pipe_names):
                    for _ in nlp.pipe(batch, batch_size=batch_size):
                        pass

        return run

    return prepare


def peak_megabytes() -> float:
    """The most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def write_results(name: str, results: Any) -> None:
    """To docs/benchmarks, with what the machine is."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
    text = json.dumps({"machine": machine, "results": results}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf8")
