"""Spans against gold entities: precision, recall and F1 of exact spans, in all and by type."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..gold import boundaries
from ..protocols.decisions import Decisions, RowT
from .prf_counts import CountsT, RowsT, prf_score
from .tally import Tally, main_score_of_tally

# value of ENT_IOB where the entity of a token is not annotated
UNSET = 0
# start, end and type
SpanT = tuple[int, int, str]
TYPE = itemgetter(2)


@dataclass
class SpanVerdicts:
    """What was found in docs, compared with their gold (Protocol `Verdicts`).

    tally (Tally): What is right and wrong in each doc, in all and by type.
    correct (NDArray[np.float64]): (n_docs,): 1.0 if the spans are the gold ones, 0.0 if not, NaN without gold.
    rows (list[RowT]): The spans, see `Decisions`: two at the same place are one row.
    """

    tally: Tally
    correct: CountsT
    rows: list[RowT]

    @classmethod
    def of(cls, n_docs: int) -> "SpanVerdicts":
        """Begin with docs that have no gold."""
        return cls(Tally.of(n_docs), np.full(n_docs, np.nan), [])

    @property
    def counts(self) -> CountsT:
        """Annotated, true positives, false positives and false negatives of each doc, (n_docs, 4)."""
        return self.tally.counts

    def add(self, doc: int, gold: set[SpanT], predicted: set[SpanT], rows: Iterable[RowT]) -> None:
        """Compare the spans of a doc. rows: as the attribute has them."""
        self.tally.add(doc, gold, predicted, TYPE)
        self.correct[doc] = gold == predicted
        self.rows += rows

    def decisions(self) -> Decisions:
        """The gold spans and the predicted ones."""
        return Decisions.from_rows("spans", self.rows)

    def scores(self, rows: RowsT = None) -> dict[str, Any]:
        """Compute `p`, `r`, `f` and `f_per_type` of these docs; None where none of them is annotated."""
        total = self.tally.total(rows)
        if total is None:
            return dict.fromkeys(("p", "r", "f", "f_per_type"))
        per_type = {label: score.to_dict() for label, score in self.tally.by_name.total(rows).items()}
        return prf_score(total).to_dict() | {"f_per_type": per_type}


def judge_spans(examples: Sequence[Example], found: Callable[[Doc], Iterable[Span]]) -> SpanVerdicts:
    """Compare predicted spans with the gold entities.

    found (Callable[[Doc], Iterable[Span]]): The spans that were predicted for a doc.
    """
    verdicts = SpanVerdicts.of(len(examples))
    for row, eg in enumerate(examples):
        if not eg.reference.has_annotation("ENT_IOB"):
            continue
        gold, predicted = compared_spans(eg, found(eg.predicted))
        verdicts.add(row, gold, predicted, paired_rows(row, gold, predicted))
    return verdicts


def paired_rows(doc: int, gold: Iterable[SpanT], predicted: Iterable[SpanT]) -> Iterator[RowT]:
    """Put gold and predicted spans at the same place side by side, in the order of their places."""
    expected, found = ({span[:2]: span[2] for span in spans} for spans in (gold, predicted))
    for place in sorted(expected | found):
        yield doc, *place, expected.get(place), found.get(place)


def main_score_of_spans(counts: CountsT) -> CountsT:
    """Compute F1 from sums of `SpanVerdicts.counts`, (..., 4) -> (...)."""
    return main_score_of_tally(counts)


def compared_spans(example: Example, found: Iterable[Span]) -> tuple[set[SpanT], set[SpanT]]:
    """The gold and the predicted spans, with boundaries that can be compared. Predicted spans on tokens whose gold is
    unset are neither right nor wrong, and left out.
    """
    predicted, reference = boundaries(example)
    gold = {_place(ent, reference) for ent in example.reference.ents}
    candidates = {_place(span, predicted) for span in found}
    unset = np.flatnonzero(example.reference.to_array(ENT_IOB) == UNSET)
    if not len(unset):
        return gold, candidates
    starts, ends = reference[unset], reference[unset + 1]
    return gold, {span for span in candidates if not _overlaps(span, starts, ends)}


def _place(span: Span, places: NDArray[np.int64]) -> SpanT:
    """places (n_tokens + 1,): boundaries of the doc's tokens."""
    return int(places[span.start]), int(places[span.end]), span.label_


def _overlaps(span: SpanT, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> bool:
    """Whether the span overlaps any of these stretches, (n,) and in order."""
    after = int(np.searchsorted(ends, span[0], side="right"))
    return after < len(starts) and bool(starts[after] < span[1])
