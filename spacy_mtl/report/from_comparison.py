"""The data of a report on a comparison: read from its folder alone, so that a folder that was moved or mailed gives the
same report. Nothing is trained or predicted again, and of the docs those that are shown are built.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from spacy.util import get_lang_class
from spacy.vocab import create_vocab

from ..comparison.result import Comparison, RunSummary, read_comparison
from ..comparison.systems import JOINT
from ..experiments.run_folder import read_steps
from ..experiments.stored_decisions import load_decisions
from ..experiments.stored_tokens import StoredDocs, load_docs
from .report_data import ReportData, Side, TrainedRun
from .templating import count

REPORT = "report.json"
NO_DOCS = "the runs have not kept what was predicted, so that labels, confusions and errors are left out"


def data_of_comparison(folder: Path) -> ReportData:
    """Read what `mtl compare` wrote.

    folder (Path): Has report.json, and the runs.
    Raises a ValueError if it is not such a folder.
    """
    if not (folder / REPORT).is_file():
        raise ValueError(
            f"{folder} is not the folder of a comparison, since it has no {REPORT}; mtl compare writes one"
        )
    comparison = read_comparison(folder / REPORT)
    finished = [run for run in comparison.runs if run.status == "finished"]
    split = "test" if any("test" in run.scores for run in finished) else "dev"
    docs = read_docs(folder, finished, split, comparison.lang)
    runs = {run.name: _trained(folder, run, split) for run in finished}
    return ReportData(
        title=f"{comparison.title}: joint training against training alone",
        facts=facts_of(comparison, split) | ({} if docs is not None else {"Docs": NO_DOCS}),
        lang=comparison.lang,
        metrics={head.name: head.metric for head in comparison.heads},
        sides={head.name: sides_of(head.name, comparison, split, runs) for head in comparison.heads},
        split=split,
        docs=[] if docs is None else docs,
        lengths=[] if docs is None else docs.lengths.tolist(),
        comparison=comparison,
        folder=folder,
    )


def facts_of(comparison: Comparison, split: str) -> dict[str, str]:
    """What was compared, on what."""
    (n_docs,) = {max((getattr(head, f"n_{split}") for head in comparison.heads), default=0)}
    seeds = len(comparison.seeds)
    facts = {
        "Config": comparison.config,
        "Heads": str(len(comparison.heads)),
        "Judged on": f"{split}, {count(n_docs)} docs",
        "Trainings": f"{len(comparison.runs)}, {seeds} seed{'s' if seeds != 1 else ''} each",
    }
    if comparison.date:
        facts["Date"] = comparison.date
    return facts


def read_docs(folder: Path, runs: Sequence[RunSummary], split: str, lang: str) -> StoredDocs | None:
    """The docs of the split, as any of the runs has kept them; None if none has."""
    vocab = create_vocab(lang, get_lang_class(lang).Defaults)
    found = (load_docs(folder / run.folder, split, vocab) for run in runs)
    return next((docs for docs in found if docs is not None), None)


def sides_of(head: str, comparison: Comparison, split: str, runs: Mapping[str, TrainedRun]) -> list[Side]:
    """Joint training and the baseline of the head."""
    baselines = [found.baseline for found in comparison.differences if found.head == head and found.system == JOINT]
    baseline = baselines[0] if baselines else f"{head} alone"
    systems = (("joint", "Joint", JOINT), ("alone", "Alone", baseline))
    sides = [Side(key, label, [run for run in runs.values() if run.system == name]) for key, label, name in systems]
    return [side for side in sides if side.runs]


def _trained(folder: Path, run: RunSummary, split: str) -> TrainedRun:
    own = folder / run.folder
    decisions = partial(load_decisions, own, split)
    return TrainedRun(
        run.name, run.system, run.seed, tuple(run.heads), run.scores, read_steps(own), decisions=decisions
    )
