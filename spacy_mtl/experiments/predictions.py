"""What a trained pipeline predicts on a split, and how each head's predictions are judged doc by doc."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import DocBin
from spacy.training import Example

from ..gold import unannotated
from ..origin import corpus_of, name_corpus
from ..pipeline.head_views import HeadViews
from ..protocols.head import CountsDocs
from ..readers.pipeline_heads import heads_of

ReaderT = Callable[[Language], Iterable[Example]]


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


def score(nlp: Language, examples: Sequence[Example]) -> dict[str, Any]:
    """The scores that `nlp.evaluate` gives, from docs that are predicted already."""
    return Scorer(nlp=nlp).score(examples)


def save_predictions(nlp: Language, examples: Sequence[Example], folder: Path, split: str) -> None:
    """Write the predicted docs to `SPLIT.spacy`, and each head's counts by doc to `judged-SPLIT.npz`."""
    DocBin(docs=[eg.predicted for eg in examples], store_user_data=False).to_disk(folder / f"{split}.spacy")
    views = HeadViews(examples)
    counts: dict[str, Any] = {
        key: np.asarray(head.judge(views.of(key)), dtype="float64")
        for key, head in heads_of(nlp.pipeline).items()
        if isinstance(head, CountsDocs)
    }
    np.savez_compressed(folder / f"judged-{split}.npz", **counts)


def judged_counts(folder: Path, split: str) -> dict[str, Any]:
    """Read what `save_predictions` wrote: head -> counts, (n_docs, n_counts)."""
    with np.load(folder / f"judged-{split}.npz", allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}
