"""Spans that may overlap and have several labels, against gold in `doc.spans`: precision, recall and F1."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

import numpy as np
from spacy.tokens import Doc
from spacy.training import Example

from ..gold import boundaries
from ..protocols.decisions import RowT
from .prf_counts import FN, FP, TP, CountsByName
from .span_metrics import SpanT, SpanVerdicts


def judge_span_groups(examples: Sequence[Example], key: str) -> SpanVerdicts:
    """Compare the spans of one key of `doc.spans`. Docs whose gold does not have the key are passed over. A gold span
    without a label says that something unknown is there: predictions at the same place don't count.
    """
    counts, correct, by_type = np.zeros((len(examples), 4)), np.full(len(examples), np.nan), CountsByName()
    rows: list[RowT] = []
    for row, eg in enumerate(examples):
        if key not in eg.reference.spans:
            continue
        on_predicted, on_reference = boundaries(eg)
        gold, predicted = _spans(eg.reference, key, on_reference), _spans(eg.predicted, key, on_predicted)
        unknown = {span[:2] for span in gold if not span[2]}
        gold = {span for span in gold if span[2]}
        predicted = {span for span in predicted if span[:2] not in unknown}
        outcomes = {TP: gold & predicted, FP: predicted - gold, FN: gold - predicted}
        counts[row] = [1, *map(len, outcomes.values())]
        correct[row] = gold == predicted
        for outcome, spans in outcomes.items():
            for span in spans:
                by_type.add(row, span[2], outcome)
        rows += _paired_rows(row, gold, predicted)
    return SpanVerdicts(counts, correct, by_type, rows)


def _spans(doc: Doc, key: str, places: np.ndarray) -> set[SpanT]:
    """places (n_tokens + 1,): boundaries of the doc's tokens."""
    return {(int(places[span.start]), int(places[span.end]), span.label_) for span in doc.spans.get(key, ())}


def _paired_rows(doc: int, gold: Iterable[SpanT], predicted: Iterable[SpanT]) -> Iterator[RowT]:
    """Put the labels of gold and predicted spans at the same place side by side: the same ones first, then others, in
    alphabetical order.
    """
    expected, found = _by_place(gold), _by_place(predicted)
    for place in sorted(expected.keys() | found.keys()):
        both = sorted(expected[place] & found[place])
        for label in both:
            yield doc, *place, label, label
        others = sorted(expected[place] - found[place]), sorted(found[place] - expected[place])
        for missed, wrong in zip_longest(*others):
            yield doc, *place, missed, wrong


def _by_place(spans: Iterable[SpanT]) -> dict[tuple[int, int], set[str]]:
    labels: dict[tuple[int, int], set[str]] = defaultdict(set)
    for start, end, label in spans:
        labels[start, end].add(label)
    return labels
