"""What one joint pipeline costs beside several single ones: speed and memory, measured in turn on the same docs.

As a program it is the process that measures: python -m spacy_mtl.comparison.cost JOB.json, which prints JSON.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from spacy.cli._util import import_code, setup_gpu
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.util import load_model

from ..experiments.engine import one_thread_environment
from ..gold import unannotated

N_DOCS, N_ROUNDS = 1000, 3
SpeedT = dict[str, float]


def measure(
    pipelines: Mapping[str, Path], docs: Path, job: Path, *, use_gpu: int = -1, code: Path | None = None
) -> tuple[SpeedT, dict[str, float]]:
    """Measure speed in one process, in which the pipelines take turns, and memory in a process for the joint pipeline
    and one for all single ones.

    pipelines (Mapping[str, Path]): Trained pipelines by the name of their system.
    docs (Path): A `.spacy` file, whose tokens are annotated.
    job (Path): Where to write what the processes have to do.
    RETURNS: words per second of each pipeline, and under "single" of all but the joint one, one after the other; the
        most memory in bytes that the process of "joint" and that of "single" have held.
    """
    singles = [name for name in pipelines if name != "joint"]
    groups = {name: [name] for name in pipelines} | {"single": singles}
    common = {"docs": str(docs), "gpu": use_gpu, "code": None if code is None else str(code)}
    seconds, n_words = run_job(job, common | {"pipelines": {name: str(path) for name, path in pipelines.items()}})
    speed = {name: n_words / sum(seconds[one] for one in group) for name, group in groups.items()}
    memory = {}
    for name in ("joint", "single"):
        parts = {one: str(pipelines[one]) for one in groups[name]}
        memory[name] = run_job(job, common | {"pipelines": parts, "memory": True})
    job.unlink()
    return speed, memory


def run_job(job: Path, content: Mapping[str, Any]) -> Any:
    """Run this module in a process of its own. RETURNS: what it printed last."""
    job.write_text(json.dumps(content), encoding="utf8")
    command = [sys.executable, "-m", "spacy_mtl.comparison.cost", str(job)]
    done = subprocess.run(command, env=one_thread_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"the cost could not be measured: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Do a job and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path)
    job = json.loads(parser.parse_args().job.read_text(encoding="utf8"))
    import_code(job["code"] and Path(job["code"]))
    setup_gpu(job["gpu"], silent=True)
    pipelines = {name: load_model(path) for name, path in job["pipelines"].items()}
    gold = list(DocBin().from_disk(job["docs"]).get_docs(next(iter(pipelines.values())).vocab))[:N_DOCS]
    if job.get("memory"):
        for nlp in pipelines.values():
            annotate_all(nlp, gold)
        print(json.dumps(peak_memory()))
    else:
        print(json.dumps([in_turn(pipelines, gold), sum(map(len, gold))]))


def in_turn(pipelines: Mapping[str, Language], gold: Sequence[Doc]) -> dict[str, float]:
    """The median of the seconds that each takes; they take turns, after a first round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in pipelines}
    for number in range(N_ROUNDS + 1):
        for name, nlp in pipelines.items():
            taken = annotate_all(nlp, gold)
            if number:
                seconds[name].append(taken)
    return {name: median(values) for name, values in seconds.items()}


def annotate_all(nlp: Language, gold: Sequence[Doc]) -> float:
    """Annotate the tokens of the docs. RETURNS: the seconds that it took."""
    docs = [unannotated(doc, nlp.vocab) for doc in gold]
    start = time.perf_counter()
    for _ in nlp.pipe(docs, batch_size=nlp.batch_size):
        pass
    return time.perf_counter() - start


def peak_memory() -> float | None:
    """The most memory that this process has held, in bytes; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


if __name__ == "__main__":
    main()
