"""What the heads of a pipeline score for gold docs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import minibatch

from ..pipeline.head_views import HeadViews
from ..pipeline.multitask import Multitask
from ..protocols.arrays import ScoresT
from ..readers.corpus import Corpus


@dataclass
class Batch:
    """Gold docs, and what heads score for them.

    views (HeadViews): The docs as each head may see them.
    docs (list[Doc]): The predicted docs, without the component's annotation.
    scores (Mapping[str, ScoresT]): What each head decodes.
    """

    views: HeadViews
    docs: list[Doc]
    scores: Mapping[str, ScoresT]


def read_examples(nlp: Language, path: Path) -> list[Example]:
    """Read gold docs, whose tokens the predicted docs have. Raises a ValueError if there is none."""
    examples = list(Corpus(path)(nlp))
    if not examples:
        raise ValueError(f"{path}: it has no docs")
    return examples


def split(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Split docs at random. RETURNS: A share of them, and the others, each in their order."""
    order = np.random.default_rng(seed).permutation(len(examples))
    first = set(order[: round(share * len(examples))].tolist())
    parts: tuple[list[Example], list[Example]] = ([], [])
    for index, eg in enumerate(examples):
        parts[index not in first].append(eg)
    return parts


def scored_batches(nlp: Language, component: str, examples: Sequence[Example], heads: Sequence[str]) -> Iterator[Batch]:
    """Run the pipes before the component, and the heads, on copies of the predicted docs.

    component (str): The component's name.
    heads (Sequence[str]): The heads that are scored.
    """
    pipe: Any = nlp.get_pipe(component)
    assert isinstance(pipe, Multitask)
    names = nlp.component_names
    later = [name for name in names[names.index(component) :] if name in nlp.pipe_names]
    for batch in minibatch(examples, nlp.batch_size):
        part = list(batch)
        with nlp.select_pipes(disable=later):
            docs = list(nlp.pipe([eg.predicted.copy() for eg in part], batch_size=len(part)))
        pairs = [Example(doc, eg.reference) for doc, eg in zip(docs, part, strict=True)]
        yield Batch(HeadViews(pairs), docs, pipe.decided_scores(docs, list(heads)))
