"""Labels of tokens against gold ones, as `Scorer.score_token_attr` and `Scorer.score_token_attr_per_feat` do it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IDS as ATTR_IDS
from spacy.attrs import IS_SPACE
from spacy.morphology import Morphology
from spacy.scorer import PRFScore
from spacy.training import Example

from ..gold import is_annotated, is_same_tokenization, token_values
from ..protocols.arrays import ArrayT
from .prf_counts import FN, FP, TP, CountsByName, CountsT, RowsT, f1, prf_score, where_annotated


@dataclass
class TokenVerdicts:
    """What was predicted for the tokens of docs, compared with their gold (Protocol `Verdicts`).

    counts (NDArray[np.float64]): (n_docs, 4): 1 if the doc is annotated, true positives, false positives, false
        negatives. A gold token that no predicted one is aligned with is a false negative.
    correct (NDArray[np.float64]): (n_docs,): 1.0 if all tokens that are aligned one to one have their gold value, 0.0
        if not, NaN without any.
    by_feature (CountsByName | None): Counts by morphological feature, for `morph` alone.
    """

    counts: CountsT
    correct: CountsT
    by_feature: CountsByName | None

    def scores(self, rows: RowsT = None) -> dict[str, Any]:
        """Compute `acc`, and for `morph` also `micro_f` and `per_feat`; None where there is nothing to score."""
        total = self.counts[slice(None) if rows is None else rows].sum(axis=0)
        scores: dict[str, Any] = {"acc": prf_score(total[1:]).fscore if total[0] else None}
        if self.by_feature is not None:
            by_feature = self.by_feature.total(rows)
            micro = sum(by_feature.values(), PRFScore())
            scores["per_feat"] = {name: score.to_dict() for name, score in by_feature.items()} or None
            scores["micro_f"] = micro.fscore if by_feature else None
        return scores


def judge_tokens(examples: Sequence[Example], attr: str) -> TokenVerdicts:
    """Compare the values of a token attribute: "tag", "pos" or "morph"."""
    attr_id = ATTR_IDS[attr.upper()]
    counts, correct = np.zeros((len(examples), 4)), np.full(len(examples), np.nan)
    by_feature = CountsByName() if attr == "morph" else None
    for row, eg in enumerate(examples):
        if not is_annotated(eg.reference, attr_id):
            continue
        correct[row] = judge_aligned(eg, attr)
        gold: ArrayT = eg.reference.to_array(attr_id)
        gold_tokens, values = _comparable(eg, gold, attr_id)
        n_right, n_gold = int((values == gold[gold_tokens]).sum()), int((gold != 0).sum())
        counts[row] = [1, n_right, len(values) - n_right, n_gold - n_right]
        if by_feature is not None:
            _count_features(by_feature, row, eg, gold, gold_tokens, values)
    return TokenVerdicts(counts, correct, by_feature)


def judge_aligned(example: Example, attr: str) -> float:
    """Whether all tokens that are aligned one to one have their gold value, 1.0 or 0.0; NaN without any such token."""
    attr_id = ATTR_IDS[attr.upper()]
    gold = token_values(example, attr.upper(), attr_id)
    known = gold != 0
    predicted = example.predicted.to_array(attr_id)
    return float((predicted == gold)[known].all()) if known.any() else np.nan


def main_score_of_tokens(counts: CountsT) -> CountsT:
    """Compute `acc` from sums of `TokenVerdicts.counts`, (..., 4) -> (...). spaCy's accuracy is the F1 of the pairs of
    token and value: with one tokenisation it is the share of the annotated tokens that are right.
    """
    return where_annotated(counts[..., 0], f1(counts[..., 1:]))


def _comparable(
    example: Example, gold: NDArray[np.uint64], attr_id: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The predicted values that count: of tokens that are not white space and lie in one gold token with a value.

    gold (NDArray[np.uint64]): The gold values, (n_gold_tokens,).
    RETURNS: the gold tokens, (n,), and the values, (n,); equal pairs of a gold token and a value once.
    """
    rows = example.predicted.to_array([IS_SPACE, attr_id])
    tokens = np.flatnonzero(rows[:, 0] == 0)
    if is_same_tokenization(example):
        tokens = tokens[gold[tokens] != 0]
        return tokens, rows[tokens, 1]
    aligned = example.alignment.x2y
    tokens = tokens[aligned.lengths[tokens] == 1]
    pairs = {(int(aligned[int(token)][0]), int(rows[token, 1])) for token in tokens}
    counted = sorted((gold_token, value) for gold_token, value in pairs if gold[gold_token] != 0)
    gold_tokens, values = zip(*counted, strict=True) if counted else ((), ())
    return np.array(gold_tokens, dtype="int64"), np.array(values, dtype="uint64")


def _count_features(
    by_feature: CountsByName,
    row: int,
    example: Example,
    gold: NDArray[np.uint64],
    gold_tokens: NDArray[np.int64],
    values: NDArray[np.uint64],
) -> None:
    """Add a doc's morphological features. A gold token without features is missing gold."""
    expected, predicted = _Features(example.reference.vocab.strings), _Features(example.predicted.vocab.strings)
    found: dict[int, set[str]] = defaultdict(set)
    for token, value in zip(gold_tokens.tolist(), values.tolist(), strict=True):
        found[token].update(predicted[value])
    for token, value in enumerate(gold.tolist()):
        theirs = expected[value]
        if theirs:
            mine = found[token]
            for outcome, features in ((TP, mine & theirs), (FP, mine - theirs), (FN, theirs - mine)):
                for feature in features:
                    by_feature.add(row, _field(feature), outcome)


class _Features(dict[int, frozenset[str]]):
    """Stored value of `morph` -> its features, such as "Number=Sing"."""

    def __init__(self, strings: Any) -> None:
        self._strings = strings

    def __missing__(self, value: int) -> frozenset[str]:
        morph = self._strings[value] if value else Morphology.EMPTY_MORPH
        features = [] if morph == Morphology.EMPTY_MORPH else morph.split(Morphology.FEATURE_SEP)
        return self.setdefault(value, frozenset(features))


def _field(feature: str) -> str:
    field, _ = feature.split(Morphology.FIELD_SEP)
    return field
