"""Views of a batch: examples of a corpus that a head may not learn from appear to it without gold."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.training import Example

from ..gold import GoldBatch, unannotated
from ..origin import corpus_of, heads_of, may_learn
from ..protocols.head import Head
from ..teaching import is_taught


class HeadViews:
    """The views of one batch. Examples without gold are built once for all heads."""

    def __init__(self, examples: Sequence[Example]) -> None:
        """examples (Sequence[Example]): The batch, with every annotation that the corpora have."""
        self._examples = GoldBatch(examples)
        self._restricted = any(heads_of(eg.reference) is not None for eg in examples)
        self._without_gold: dict[int, Example] = {}

    def of(self, head: str) -> Sequence[Example]:
        """Get the batch as the head sees it: the same number of examples, with the same predicted docs."""
        if not self._restricted:
            return self._examples
        view = GoldBatch(
            eg if may_learn(head, eg.reference) else self._blank(index, eg) for index, eg in enumerate(self._examples)
        )
        # Blank docs have the tokens of those that they stand for.
        view.same_tokens = self._examples.same_tokens
        return view

    def _blank(self, index: int, example: Example) -> Example:
        if index not in self._without_gold:
            self._without_gold[index] = Example(
                example.predicted, unannotated(example.reference, example.reference.vocab)
            )
        return self._without_gold[index]


def by_corpus(examples: Iterable[Example]) -> dict[str, list[Example]]:
    """Group the examples by the name of their corpus. Examples without a name are left out."""
    examples = list(examples)
    return {corpus: [examples[row] for row in rows] for corpus, rows in rows_by_corpus(examples).items()}


def rows_by_corpus(examples: Sequence[Example]) -> dict[str, NDArray[np.int64]]:
    """Group the indices of the examples by the name of their corpus. Examples without a name are left out."""
    rows: dict[str, list[int]] = {}
    for row, eg in enumerate(examples):
        name = corpus_of(eg.reference)
        if name is not None:
            rows.setdefault(name, []).append(row)
    return {name: np.array(own) for name, own in rows.items()}


def check_head_names(heads: Mapping[str, Head], examples: Sequence[Example]) -> None:
    """Raise a ValueError if a corpus names a head that does not exist."""
    for corpus, group in by_corpus(examples).items():
        unknown = sorted({name for eg in group for name in heads_of(eg.reference) or () if name not in heads})
        if unknown:
            raise ValueError(f"corpus {corpus!r}: heads names {unknown}, but the heads are {list(heads)}")


def check_corpora(heads: Mapping[str, Head], examples: Sequence[Example]) -> None:
    """Raise a ValueError if no head can learn from a corpus.

    heads (Mapping[str, Head]): The heads, with their labels.
    """
    for corpus, group in by_corpus(examples).items():
        allowed = [key for key in heads if any(may_learn(key, eg.reference) for eg in group)]
        views = HeadViews(group)
        if not any(heads[key].has_gold(eg) or is_taught(eg.reference, key) for key in allowed for eg in views.of(key)):
            raise ValueError(
                f"corpus {corpus!r}: none of the {len(group)} docs to initialise from carries a label of the heads "
                f"that may learn from it: {allowed}; check its annotation, heads and label_map, or leave the corpus out"
            )
