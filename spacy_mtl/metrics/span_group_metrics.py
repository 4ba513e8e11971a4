"""Spans that may overlap and have several labels, against gold in `doc.spans`: precision, recall and F1."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from spacy.tokens import Doc
from spacy.training import Example

from ..gold import boundaries
from ..protocols.decisions import RowT
from .span_metrics import SpanT, SpanVerdicts
from .tally import side_by_side


def judge_span_groups(examples: Sequence[Example], key: str) -> SpanVerdicts:
    """Compare the spans of one key of `doc.spans`. Docs whose gold does not have the key are passed over. A gold span
    without a label says that something unknown is there: predictions at the same place don't count.
    """
    verdicts = SpanVerdicts.of(len(examples))
    for row, eg in enumerate(examples):
        if key not in eg.reference.spans:
            continue
        on_predicted, on_reference = boundaries(eg)
        gold, predicted = _spans(eg.reference, key, on_reference), _spans(eg.predicted, key, on_predicted)
        unknown = {span[:2] for span in gold if not span[2]}
        gold = {span for span in gold if span[2]}
        predicted = {span for span in predicted if span[:2] not in unknown}
        verdicts.add(row, gold, predicted, _paired_rows(row, gold, predicted))
    return verdicts


def _spans(doc: Doc, key: str, places: np.ndarray) -> set[SpanT]:
    """places (n_tokens + 1,): boundaries of the doc's tokens."""
    return {(int(places[span.start]), int(places[span.end]), span.label_) for span in doc.spans.get(key, ())}


def _paired_rows(doc: int, gold: Iterable[SpanT], predicted: Iterable[SpanT]) -> Iterator[RowT]:
    """Put the labels of gold and predicted spans at the same place side by side: the same ones first, then others, in
    alphabetical order.
    """
    expected, found = _by_place(gold), _by_place(predicted)
    for place in sorted(expected.keys() | found.keys()):
        for pair in side_by_side(expected[place], found[place]):
            yield doc, *place, *pair


def _by_place(spans: Iterable[SpanT]) -> dict[tuple[int, int], set[str]]:
    labels: dict[tuple[int, int], set[str]] = defaultdict(set)
    for start, end, label in spans:
        labels[start, end].add(label)
    return labels
