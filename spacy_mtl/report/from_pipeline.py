"""The data of a report on one trained pipeline: it is run once on gold docs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from tqdm import tqdm

from ..experiments.evaluate import corpus_names
from ..experiments.predictions import decisions_of, score
from ..origin import mark
from ..protocols.doc_verdicts import ScoresInUnits
from ..protocols.head import Head
from ..protocols.head_calibration import calibration_of
from ..protocols.readout import HasReadout
from ..readers.corpus import Corpus
from ..readers.pipeline_heads import heads_of
from .report_data import ReportData, Side, TrainedRun
from .templating import count

SPLIT = "these docs"


def data_of_pipeline(nlp: Language, paths: Sequence[Path], *, name: str, n_explained: int = 0) -> ReportData:
    """Run the pipeline on the gold tokens of the docs and score it.

    paths (Sequence[Path]): `.spacy` files or folders of them, each a corpus.
    name (str): The pipeline's name in the report.
    n_explained (int): Number of docs whose predictions are explained; 0 for none.
    Raises a ValueError if the pipeline has no heads, or the data no docs or no gold for any head.
    """
    heads = scored_heads(nlp)
    examples = predict(nlp, read_gold(nlp, paths))
    check_gold(heads, [eg.reference for eg in examples], paths)
    scores, verdicts = score(nlp, examples)
    decisions = {key: decisions_of(head, examples, verdicts[key]) for key, head in heads.items()}
    pipes: dict[str, Any] = dict(nlp.pipeline)
    balance = {key: pipe.readout for key, pipe in pipes.items() if isinstance(pipe, HasReadout)}
    run = TrainedRun(name, name, 0, tuple(heads), {SPLIT: scores}, balance=balance, decisions=decisions.get)
    data = ", ".join(corpus_names(paths))
    return ReportData(
        title=f"Report on {name}",
        facts={"Pipeline": name, "Data": data, "Docs": count(len(examples)), "Heads": ", ".join(heads)},
        lang=nlp.lang or "xx",
        metrics={key: f"{key}_{head.main_score}" for key, head in heads.items()},
        sides={key: [Side("joint", name, [run])] for key in heads},
        split=SPLIT,
        docs=[eg.reference for eg in examples],
        lengths=[len(eg.reference) for eg in examples],
        in_units=frozenset(
            f"{key}_{name}"
            for key, head in heads.items()
            if isinstance(head, ScoresInUnits)
            for name in head.scores_in_units
        ),
        pipeline=nlp,
        n_explained=n_explained,
        calibrations={key: kept for key, head in heads.items() if (kept := calibration_of(head.model))},
    )


def scored_heads(nlp: Language) -> dict[str, Head]:
    """The heads that have a main score. Raises a ValueError if the pipeline has none."""
    heads = {key: head for key, head in heads_of(nlp.pipeline).items() if head.main_score is not None}
    if not heads:
        raise ValueError(
            f"the pipeline {nlp.pipe_names} has no component multitask with heads that are scored; use spacy evaluate"
        )
    return heads


def read_gold(nlp: Language, paths: Sequence[Path]) -> list[Example]:
    """Read all docs. They know their corpus if there are several. Raises a ValueError that names what has no docs."""
    examples: list[Example] = []
    for corpus, path in zip(corpus_names(paths), paths, strict=True):
        own = list(tqdm(Corpus(path)(nlp), desc=f"reading {corpus}", unit=" docs", disable=None, leave=False))
        if not own:
            raise ValueError(f"{path}: it has no docs")
        if len(paths) > 1:
            own = [Example(eg.predicted, mark(eg.reference, corpus)) for eg in own]
        examples += own
    return examples


def predict(nlp: Language, examples: Sequence[Example]) -> list[Example]:
    """The examples with the pipeline's predictions."""
    docs: list[Doc] = list(
        tqdm(
            nlp.pipe(eg.predicted for eg in examples),
            total=len(examples),
            desc="predicting",
            unit=" docs",
            disable=None,
            leave=False,
        )
    )
    return [Example(doc, eg.reference) for doc, eg in zip(docs, examples, strict=True)]


def check_gold(heads: dict[str, Head], gold: Sequence[Doc], paths: Sequence[Path]) -> None:
    """Raise a ValueError if no doc has gold for any of the heads."""
    if any(head.has_gold(Example(doc, doc)) for doc in gold for head in heads.values()):
        return
    wanted = "; ".join(f"{key!r} reads {', '.join(head.gold_attributes)}" for key, head in heads.items())
    raise ValueError(
        f"{', '.join(map(str, paths))}: none of the {len(gold)} docs has gold for any head: {wanted}; "
        "name annotated data"
    )
