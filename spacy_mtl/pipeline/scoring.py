"""The component's scores: of each head, of all together, and of each corpus."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.training import Example

from ..protocols.doc_verdicts import GivesVerdicts, Verdicts
from ..protocols.head import Head
from .head_views import HeadViews, rows_by_corpus

# What each component has found on a predicted doc, by the component's name, for those that are scored after it: spaCy
# scores components one by one. It lasts as long as the doc, and is not in `user_data`, which users keep and save.
# Main scores stand with the first doc of an evaluation.
MAIN: WeakKeyDictionary[Doc, dict[str, dict[str, float]]] = WeakKeyDictionary()
EXACT: WeakKeyDictionary[Doc, dict[str, bool | None]] = WeakKeyDictionary()


@dataclass
class ComponentScores:
    """scores (dict[str, Any]): What `Multitask.score` returns.
    main (dict[str, float | None]): The main score of each head.
    all_main (dict[str, float]): "component/head" -> main score, of this component and those that were scored before it.
    by_corpus (dict[str, dict[str, float]]): Corpus -> head -> main score.
    verdicts (dict[str, Verdicts]): What each head predicted, compared with gold.
    """

    scores: dict[str, Any]
    main: dict[str, float | None]
    all_main: dict[str, float]
    by_corpus: dict[str, dict[str, float]]
    verdicts: dict[str, Verdicts]


def score_component(heads: Mapping[str, Head], examples: Sequence[Example], name: str) -> ComponentScores:
    """Score all heads of a component on the docs that carry their annotation, of corpora that they may learn from. Each
    head that can (Protocol `GivesVerdicts`) compares each doc with its gold once.

    name (str): The component's name.
    """
    views = HeadViews(examples)
    verdicts = {key: verdicts_of(head, views.of(key)) for key, head in heads.items()}
    own = {key: found.scores() for key, found in verdicts.items()}
    corpora = score_corpora(heads, verdicts, rows_by_corpus(examples), own, n_docs=len(examples))
    names = {key: head.main_score for key, head in heads.items() if head.main_score is not None}
    main = {key: own[key][metric] for key, metric in names.items()}
    scores = {f"{key}_{metric}": value for key, found in own.items() for metric, value in found.items()}
    scores |= standard_scores(heads, own)
    all_main = note_main_scores(examples, main, name)
    scores |= joint_scores([verdicts[key] for key in names], examples, all_main, name)
    for corpus, by_head in corpora.items():
        for key, found in by_head.items():
            scores.update({f"{corpus}/{key}_{metric}": value for metric, value in found.items()})
    by_corpus = {
        corpus: {key: found[names[key]] for key, found in by_head.items() if key in names}
        for corpus, by_head in corpora.items()
    }
    return ComponentScores(scores, main, all_main, by_corpus, verdicts)


def verdicts_of(head: Head, examples: Sequence[Example]) -> Verdicts:
    """Get the head's verdicts on the docs."""
    return head.verdicts(examples) if isinstance(head, GivesVerdicts) else FromScore(head, examples)


class FromScore:
    """The verdicts of a head that only has `score` and `is_correct`."""

    def __init__(self, head: Head, examples: Sequence[Example]) -> None:
        self._head = head
        self._examples = examples

    @cached_property
    def correct(self) -> NDArray[np.float64]:
        """Whether the whole gold annotation of each doc is predicted, (n_docs,); NaN without gold."""
        found = [self._head.is_correct(eg) for eg in self._examples]
        return np.array([np.nan if value is None else value for value in found], dtype="d")

    def scores(self, rows: NDArray[np.int64] | None = None) -> dict[str, Any]:
        """The head's metrics on these docs."""
        return self._head.score(self._examples if rows is None else [self._examples[row] for row in rows])


def standard_scores(heads: Mapping[str, Head], own: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Get the scores under spaCy's own keys that exactly one head offers."""
    offers: dict[str, list[str]] = {}
    for key, head in heads.items():
        for standard in head.standard_scores:
            offers.setdefault(standard, []).append(key)
    return {
        standard: own[keys[0]][heads[keys[0]].standard_scores[standard]]
        for standard, keys in offers.items()
        if len(keys) == 1
    }


def score_corpora(
    heads: Mapping[str, Head],
    verdicts: Mapping[str, Verdicts],
    corpora: Mapping[str, NDArray[np.int64]],
    own: Mapping[str, dict[str, Any]],
    *,
    n_docs: int,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Corpus -> head -> the head's metrics on the docs of this corpus, for the heads that the corpus has gold for.

    verdicts (Mapping[str, Verdicts]): Of all docs, by head.
    corpora (Mapping[str, NDArray[np.int64]]): The indices of each corpus's docs.
    own (Mapping[str, dict[str, Any]]): The metrics on all docs, which are those of a corpus that has them all.
    n_docs (int): The number of all docs.
    """
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for corpus, rows in corpora.items():
        scores = own if len(rows) == n_docs else {key: found.scores(rows) for key, found in verdicts.items()}
        result[corpus] = {key: found for key, found in scores.items() if is_scored(heads[key], found)}
    return result


def is_scored(head: Head, scores: Mapping[str, Any]) -> bool:
    """Check whether the head has found docs to score."""
    names = scores if head.main_score is None else [head.main_score]
    return any(scores[name] is not None for name in names)


def note_main_scores(examples: Sequence[Example], main: Mapping[str, float | None], name: str) -> dict[str, float]:
    """Note the main scores of a component. RETURNS: "component/head" -> score, with those scored before it."""
    if not examples:
        return {}
    scored = MAIN.setdefault(examples[0].predicted, {})
    scored[name] = {f"{name}/{key}": float(value) for key, value in main.items() if value is not None}
    return {key: value for one in scored.values() for key, value in one.items()}


def joint_scores(
    verdicts: Sequence[Verdicts], examples: Sequence[Example], main: Mapping[str, float], name: str
) -> dict[str, float | None]:
    """`multitask_score` and `multitask_exact` over this component and those that were scored before it.

    verdicts (Sequence[Verdicts]): Of the heads that have a main score; the others enter neither.
    main (Mapping[str, float]): All main scores.
    """
    values = list(main.values())
    exact = [value for value in all_exact(verdicts, examples, name) if value is not None]
    return {
        "multitask_score": sum(values) / len(values) if values else None,
        "multitask_exact": sum(exact) / len(exact) if exact else None,
    }


def all_exact(verdicts: Sequence[Verdicts], examples: Sequence[Example], name: str) -> Iterator[bool | None]:
    """For each doc, check whether all heads that have gold are right, of this component and of those that were scored
    before it. None if no head has gold.
    """
    correct = np.array([found.correct for found in verdicts]).reshape(-1, len(examples))
    has_gold = ~np.isnan(correct).all(axis=0)
    is_exact = (correct != 0).all(axis=0)
    for eg, known, exact in zip(examples, has_gold.tolist(), is_exact.tolist(), strict=True):
        noted = EXACT.setdefault(eg.predicted, {})
        noted[name] = exact if known else None
        values = [value for value in noted.values() if value is not None]
        yield all(values) if values else None
