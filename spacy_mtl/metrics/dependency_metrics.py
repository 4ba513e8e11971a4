"""Dependency trees against gold ones, as `Scorer.score_deps` counts them for spaCy's parser."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from spacy.attrs import DEP, HEAD, IS_SPACE
from spacy.tokens import Doc
from spacy.training import Example

from ..gold import is_same_tokenization
from ..protocols.arrays import BoolsT, IntsT
from ..protocols.decisions import ArgumentsT, Decisions, RowT
from .prf_counts import FN, FP, TP, CountsByName, CountsT, RowsT, f1, prf_score, where_annotated
from .sentence_metrics import SentenceVerdicts, judge_sentences

# labels that the scores of spaCy's parser leave out, in lower case
IGNORED = frozenset({"p", "punct"})
UNALIGNED = -1


class Arcs(NamedTuple):
    """The arcs of a doc: the heads and the labels of its tokens, (n_tokens,) each; an empty label is none."""

    heads: IntsT
    names: list[str]
    labels: list[str]  # in lower case


@dataclass
class DependencyVerdicts:
    """The arcs that were predicted for docs, compared with their gold (Protocol `Verdicts`).

    counts (NDArray[np.float64]): (n_docs, 11): 1 if the doc has gold arcs; true positives, false positives and false
        negatives of arcs without labels, and with labels; 1 if it has gold sentences, and the same of these.
    correct (NDArray[np.float64]): (n_docs,): 1.0 if all tokens with gold that are aligned one to one have their head
        and label, 0.0 if not, NaN without any.
    by_label (CountsByName): Counts by label.
    rows (list[RowT]): For `Decisions`. arguments (list[ArgumentsT]): Head and dependent of each row.
    """

    counts: CountsT
    correct: CountsT
    by_label: CountsByName
    rows: list[RowT]
    arguments: list[ArgumentsT]

    def scores(self, rows: RowsT = None) -> dict[str, Any]:
        """Compute `uas`, `las`, `las_per_type`, and `sents_p`, `sents_r` and `sents_f`; None where there is nothing to
        score.
        """
        total = self.counts[slice(None) if rows is None else rows].sum(axis=0)
        per_label = {name: score.to_dict() for name, score in self.by_label.total(rows).items()}
        sentences = prf_score(total[8:]).to_dict() if total[7] else dict.fromkeys(("p", "r", "f"))
        return {
            "uas": prf_score(total[1:4]).fscore if total[0] else None,
            "las": prf_score(total[4:7]).fscore if total[0] else None,
            "las_per_type": per_label if total[0] else None,
            **{f"sents_{name}": value for name, value in sentences.items()},
        }

    def decisions(self) -> Decisions:
        """The label of each token with gold: where its head is wrong, the gold label and the predicted one are two
        rows.
        """
        return Decisions.from_rows("tokens", self.rows, self.arguments)


def judge_dependencies(examples: Sequence[Example]) -> DependencyVerdicts:
    """Compare the predicted arcs and sentences with the gold ones. Docs without gold arcs are passed over.

    As in spaCy's scores of its parser, labels are compared in lower case, punctuation is left out, and so are predicted
    arcs of tokens whose gold is missing.
    """
    sentences: SentenceVerdicts = judge_sentences(examples)
    counts, correct = np.zeros((len(examples), 11)), np.full(len(examples), np.nan)
    verdicts = DependencyVerdicts(counts, correct, CountsByName(), [], [])
    for row, eg in enumerate(examples):
        gold = _arcs(eg.reference)
        if any(gold.labels):
            _judge(verdicts, row, eg, gold)
            verdicts.counts[row, 7:] = sentences.counts[row]
    return verdicts


def main_score_of_dependencies(counts: CountsT) -> CountsT:
    """Compute `las` from sums of `DependencyVerdicts.counts`, (..., 11) -> (...)."""
    return where_annotated(counts[..., 0], f1(counts[..., 4:7]))


def _judge(verdicts: DependencyVerdicts, row: int, example: Example, gold: Arcs) -> None:
    """Count the arcs of a doc."""
    found = _arcs(example.predicted)
    aligned = _aligned(example)
    counted = np.flatnonzero(~_is_space(example.predicted))
    expected = {(token, int(gold.heads[token]), label) for token, label in enumerate(gold.labels) if label}
    heads = aligned[found.heads]
    predicted: set[tuple[int, int, str]] = set()
    n_unaligned = 0
    right = True
    for token, place, head in zip(counted.tolist(), aligned[counted].tolist(), heads[counted].tolist(), strict=True):
        label = found.labels[token]
        gold_label = gold.labels[place] if place != UNALIGNED else ""
        if place != UNALIGNED and not gold_label:
            continue
        if place == UNALIGNED or head == UNALIGNED:
            n_unaligned += label not in IGNORED
        elif label not in IGNORED:
            predicted.add((place, head, label))
        if gold_label:
            same_head = head == gold.heads[place]
            right = right and bool(same_head) and label == gold_label
            names = gold.names[place], found.names[token]
            own_head = int(found.heads[token])
            gold_head = own_head if same_head else int(gold.heads[place])
            _add_rows(verdicts, row, token, names, (gold_head, own_head))
    expected = {arc for arc in expected if arc[2] not in IGNORED}
    counts = verdicts.counts[row]
    counts[0] = 1
    counts[1:4] = _count({arc[:2] for arc in expected}, {arc[:2] for arc in predicted}, n_unaligned)
    counts[4:7] = _count(expected, predicted, n_unaligned)
    if any(gold.labels[place] for place in aligned[counted].tolist() if place != UNALIGNED):
        verdicts.correct[row] = float(right)
    for arcs, outcome in ((expected & predicted, TP), (predicted - expected, FP), (expected - predicted, FN)):
        for arc in arcs:
            verdicts.by_label.add(row, arc[2], outcome)


def _add_rows(
    verdicts: DependencyVerdicts, doc: int, token: int, labels: tuple[str, str], heads: tuple[int, int]
) -> None:
    """Add the row of a token, or two if its head is wrong. labels, heads: of gold, and of what was predicted."""
    gold, label = labels
    rows: list[tuple[str | None, str | None, int]] = [(gold, label or None, heads[0])]
    if heads[0] != heads[1]:
        rows = [(gold, None, heads[0])]
        if label:
            rows.append((None, label, heads[1]))
    for expected, found, head in rows:
        verdicts.rows.append((doc, token, token + 1, expected, found))
        verdicts.arguments.append((head, head + 1, token, token + 1))


def _count(expected: set[Any], predicted: set[Any], n_unaligned: int) -> tuple[int, int, int]:
    n_right = len(expected & predicted)
    return n_right, len(predicted) - n_right + n_unaligned, len(expected) - n_right


def _arcs(doc: Doc) -> Arcs:
    values = doc.to_array([HEAD, DEP])
    strings = doc.vocab.strings
    names = [strings[dep] if dep else "" for dep in values[:, 1].tolist()]
    return Arcs(np.arange(len(doc)) + values[:, 0].astype("int64"), names, [name.lower() for name in names])


def _aligned(example: Example) -> IntsT:
    """The gold token that each predicted token is aligned with alone, (n_tokens,), or UNALIGNED."""
    if is_same_tokenization(example) and not _is_space(example.predicted).any():
        return np.arange(len(example.predicted))
    x2y = example.alignment.x2y
    aligned = np.full(len(example.predicted), UNALIGNED)
    for token in np.flatnonzero(x2y.lengths == 1).tolist():
        aligned[token] = x2y[token][0]
    return aligned


def _is_space(doc: Doc) -> BoolsT:
    is_space: BoolsT = doc.to_array(IS_SPACE).astype(bool)
    return is_space
