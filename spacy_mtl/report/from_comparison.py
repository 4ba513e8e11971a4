"""The data of a report on a comparison: read from its folder, nothing is trained or predicted again."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from spacy.tokens import Doc
from spacy.util import load_config, load_model, registry
from spacy.vocab import Vocab

from ..comparison.result import Comparison, RunSummary, read_comparison
from ..comparison.systems import JOINT
from ..experiments.run import JUDGED
from ..experiments.run_folder import CONFIG, MODEL, read_steps
from ..protocols.head import Head
from ..readers.pipeline_heads import heads_of
from .report_data import ReportData, Side, TrainedRun
from .sample import count_docs, evenly, quick_messages, read_docs_at
from .templating import count

REPORT = "report.json"
# docs to build over all runs: what a browser shows of them is a few hundred
MAX_DOCS = 100_000
MIN_SAMPLE = 1000


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
    vocab, heads = load_heads(folder, finished, [head.name for head in comparison.heads])
    gold, places, n_docs, note = read_gold(folder, finished, split, vocab)
    runs = {run.name: _trained(folder, run, split, places if gold else [], vocab) for run in finished}
    return ReportData(
        title=f"{comparison.title}: joint training against training alone",
        facts=facts_of(comparison, split, note),
        lang=comparison.lang,
        heads=heads,
        metrics={head.name: head.metric for head in comparison.heads},
        sides={head.name: sides_of(head.name, comparison, split, runs) for head in comparison.heads},
        split=split,
        gold=gold,
        doc_numbers=[place + 1 for place in places],
        n_docs=n_docs,
        comparison=comparison,
        folder=folder,
    )


def facts_of(comparison: Comparison, split: str, note: str) -> dict[str, str]:
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
    return facts | ({"Docs": note} if note else {})


def load_heads(folder: Path, runs: Sequence[RunSummary], names: Sequence[str]) -> tuple[Vocab, dict[str, Head]]:
    """The heads by name, each from the first run that has it, joint ones first; with a vocab for their docs. Heads that
    no run has trained are left out.
    """
    found: dict[str, Head] = {}
    vocab = Vocab()
    for run in sorted(runs, key=lambda run: run.system != JOINT):
        model = folder / run.folder / MODEL
        if set(run.heads) <= found.keys() or not model.is_dir():
            continue
        nlp = load_model(model)
        vocab = vocab if found else nlp.vocab
        found = {**heads_of(nlp.pipeline), **found}
    return vocab, {name: found[name] for name in names if name in found}


def read_gold(
    folder: Path, runs: Iterable[RunSummary], split: str, vocab: Vocab
) -> tuple[list[Doc], list[int], int, str]:
    """The gold docs of the split, or an even sample; their places in it; its size; why there are none."""
    runs = list(runs)
    whole = next((run for run in runs if run.system == JOINT), None)
    predicted = None if whole is None else folder / whole.folder / f"{split}.spacy"
    if whole is None or predicted is None or not predicted.is_file():
        return [], [], 0, "no predictions of a joint run were found, so that labels, confusions and errors are left out"
    n_docs = count_docs(predicted)
    places = evenly(n_docs, max(MIN_SAMPLE, MAX_DOCS // len(runs)))
    try:
        gold = resolve_gold(folder / whole.folder / CONFIG, split, vocab)
    except (OSError, ValueError) as error:
        return (
            [],
            [],
            n_docs,
            f"gold can't be read any more ({error}), so that labels, confusions and errors are left out",
        )
    if len(gold) != n_docs:
        return [], [], n_docs, "gold has changed since, so that labels, confusions and errors are left out"
    return [gold[place] for place in places], places, n_docs, ""


def resolve_gold(config_path: Path, split: str, vocab: Vocab) -> list[Doc]:
    """The gold docs that the run was judged on, from the reader of its config."""
    config = load_config(config_path).interpolate()
    nlp = registry.get("languages", config["nlp"]["lang"])(vocab)
    reader = registry.resolve(config["corpora"])[JUDGED[split]]
    with quick_messages():
        return [eg.reference for eg in reader(nlp)]


def sides_of(head: str, comparison: Comparison, split: str, runs: Mapping[str, TrainedRun]) -> list[Side]:
    """Joint training and the baseline of the head."""
    baselines = [found.baseline for found in comparison.differences if found.head == head and found.system == JOINT]
    baseline = baselines[0] if baselines else f"{head} alone"
    systems = (("joint", "Joint", JOINT), ("alone", "Alone", baseline))
    sides = [Side(key, label, [run for run in runs.values() if run.system == name]) for key, label, name in systems]
    return [side for side in sides if side.runs]


def _trained(folder: Path, run: RunSummary, split: str, places: Sequence[int], vocab: Vocab) -> TrainedRun:
    own = folder / run.folder
    return TrainedRun(
        run.name,
        run.system,
        run.seed,
        tuple(run.heads),
        run.scores,
        read_steps(own),
        read=partial(read_docs_at, own / f"{split}.spacy", places, vocab),
    )
