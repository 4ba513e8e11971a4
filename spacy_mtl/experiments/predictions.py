"""What a trained pipeline predicts on a split, and how each head's predictions are judged doc by doc."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training import Example

from ..arrays_file import load_arrays, save_arrays
from ..gold import unannotated
from ..origin import corpus_of, name_corpus
from ..pipeline.head_views import HeadViews
from ..pipeline.multitask import Multitask
from ..protocols.decisions import Decisions
from ..protocols.doc_verdicts import CountedVerdicts, CountsDocs, DecidedVerdicts, ShowsDecisions, Verdicts
from ..protocols.head import Head
from ..readers.pipeline_heads import heads_of
from .quick_messages import quick_messages
from .stored_decisions import save_decisions
from .stored_tokens import save_docs

ReaderT = Callable[[Language], Iterable[Example]]
VerdictsT = Mapping[str, Verdicts]


def annotate(nlp: Language, reader: ReaderT) -> list[Example]:
    """Predict all docs of a reader on their gold tokens, in the order of the reader."""
    gold = [eg.reference for eg in reader(nlp)]
    bare = []
    for doc in gold:
        corpus = corpus_of(doc)
        empty = unannotated(doc, nlp.vocab)
        bare.append(empty if corpus is None else name_corpus(empty, corpus))
    predicted = nlp.pipe(bare, batch_size=nlp.batch_size)
    return [Example(*pair) for pair in zip(predicted, gold, strict=True)]


def score(nlp: Language, examples: Sequence[Example]) -> tuple[dict[str, Any], VerdictsT]:
    """Score docs that are predicted already.

    RETURNS: what `nlp.evaluate` returns, without the speed; and what each head's scores were computed from.
    """
    scores: dict[str, Any] = dict(nlp.tokenizer.score(examples)) if hasattr(nlp.tokenizer, "score") else {}
    verdicts: dict[str, Verdicts] = {}
    for _, pipe in nlp.pipeline:
        if isinstance(pipe, Multitask):
            found = pipe.judge(examples)
            scores |= found.scores
            verdicts |= found.verdicts
        elif hasattr(pipe, "score"):
            scores |= pipe.score(examples)
    return scores, verdicts


def save_predictions(nlp: Language, examples: Sequence[Example], verdicts: VerdictsT, folder: Path, split: str) -> None:
    """Write what a run keeps of a split: the predicted docs as `SPLIT.spacy`, and what `save_judgement` writes.

    verdicts (Mapping[str, Verdicts]): What each head predicted, compared with gold.
    """
    with quick_messages():
        docs = DocBin(docs=[eg.predicted for eg in examples], store_user_data=False)
        docs.to_disk(folder / f"{split}.spacy")
    save_judgement(nlp, examples, verdicts, folder, split)


def save_judgement(nlp: Language, examples: Sequence[Example], verdicts: VerdictsT, folder: Path, split: str) -> None:
    """Write what tests and reports are made from, so that they read no doc: each head's counts by doc as
    `judged-SPLIT.npz`, its decisions as `decisions-SPLIT.npz`, and the tokens as `tokens-SPLIT.npz`.
    """
    save_docs(folder, split, [eg.predicted for eg in examples])
    views = HeadViews(examples)
    heads = heads_of(nlp.pipeline)
    counts = {key: counts_of(head, views.of(key), verdicts[key]) for key, head in heads.items()}
    save_arrays(judged_path(folder, split), {key: found for key, found in counts.items() if found is not None})
    decisions = {key: decisions_of(head, views.of(key), verdicts[key]) for key, head in heads.items()}
    save_decisions(folder, split, {key: found for key, found in decisions.items() if found is not None})


def counts_of(head: Head, examples: Sequence[Example], verdicts: Verdicts) -> NDArray[np.float64] | None:
    """What the head counts in each doc; None if it does not count."""
    if not isinstance(head, CountsDocs):
        return None
    found = verdicts.counts if isinstance(verdicts, CountedVerdicts) else head.judge(examples)
    return np.asarray(found, dtype="float64")


def decisions_of(head: Head, examples: Sequence[Example], verdicts: Verdicts) -> Decisions | None:
    """What the head decided; None if it does not show it, or if no doc has its gold."""
    if not isinstance(head, ShowsDecisions):
        return None
    found = verdicts.decisions() if isinstance(verdicts, DecidedVerdicts) else head.decisions(examples)
    return found if len(found.docs) else None


def judged_counts(folder: Path, split: str) -> dict[str, NDArray[np.float64]]:
    """Read the counts that `save_predictions` wrote: head -> counts, (n_docs, n_counts)."""
    return load_arrays(judged_path(folder, split))


def judged_path(folder: Path, split: str) -> Path:
    """The file that holds the counts."""
    return folder / f"judged-{split}.npz"
