"""Sentences against gold ones: precision, recall and F1 of whole sentences, as `Scorer.score_spans` does it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from spacy.attrs import IS_SPACE, SENT_START
from spacy.training import Example

from ..gold import is_annotated, is_same_tokenization, token_values
from .prf_counts import CountsT, RowsT, f1, prf_score, where_annotated


@dataclass
class SentenceVerdicts:
    """The sentences of docs, compared with their gold (Protocol `Verdicts`).

    counts (NDArray[np.float64]): (n_docs, 4): 1 if the doc is annotated, true positives, false positives, false
        negatives, of whole sentences.
    correct (NDArray[np.float64]): (n_docs,): 1.0 if all tokens that are aligned one to one are right, 0.0 if not, NaN
        without any.
    starts (NDArray[np.float64]): (n_docs, 2): tokens that are aligned one to one, and how many of them rightly start a
        sentence or start none.
    """

    counts: CountsT
    correct: CountsT
    starts: CountsT

    def scores(self, rows: RowsT = None) -> dict[str, Any]:
        """Compute `p`, `r` and `f` of whole sentences, and `acc` of tokens; None where there is nothing to score."""
        chosen = slice(None) if rows is None else rows
        total = self.counts[chosen].sum(axis=0)
        n_known, n_right = self.starts[chosen].sum(axis=0)
        prf = prf_score(total[1:]).to_dict() if total[0] else dict.fromkeys(("p", "r", "f"))
        return {"acc": float(n_right / n_known) if n_known else None, **prf}


def judge_sentences(examples: Sequence[Example]) -> SentenceVerdicts:
    """Compare the sentences of predicted docs with the gold ones."""
    counts, starts = np.zeros((len(examples), 4)), np.zeros((len(examples), 2))
    for row, eg in enumerate(examples):
        if not is_annotated(eg.reference, SENT_START):
            continue
        gold = {(sentence.start, sentence.end) for sentence in eg.reference.sents}
        found = predicted_sentences(eg)
        n_right = len(gold & found)
        counts[row] = [1, n_right, len(found) - n_right, len(gold) - n_right]
        values = token_values(eg, "SENT_START", SENT_START)
        known = values != 0
        starts[row] = [known.sum(), (eg.predicted.to_array(SENT_START) == values)[known].sum()]
    n_known, n_right_starts = starts.T
    correct = np.where(n_known > 0, (n_known == n_right_starts).astype("d"), np.nan)
    return SentenceVerdicts(counts, correct, starts)


def main_score_of_sentences(counts: CountsT) -> CountsT:
    """Compute F1 from sums of `SentenceVerdicts.counts`, (..., 4) -> (...)."""
    return where_annotated(counts[..., 0], f1(counts[..., 1:]))


def predicted_sentences(example: Example) -> set[tuple[int, int]]:
    """First and last token (exclusive) in the gold doc of each predicted sentence that lies on whole gold tokens."""
    predicted = example.predicted
    if not predicted.has_annotation("SENT_START"):
        return set()
    sentences = list(predicted.sents)
    # spaCy's alignment leaves out white space, so that a sentence may end before it
    if not is_same_tokenization(example) or predicted.to_array(IS_SPACE).any():
        sentences = example.get_aligned_spans_x2y(sentences, allow_overlap=False)
    return {(sentence.start, sentence.end) for sentence in sentences}
