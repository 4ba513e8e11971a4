"""The component's scores: of each head, of all together, and of each corpus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spacy.training import Example

from ..protocols.head import Head
from .head_views import HeadViews, by_corpus

# Keys of the predicted docs' `user_data`, under which each component leaves its part of the joint scores for those
# that are scored after it: spaCy scores components one by one.
MAIN, EXACT = "spacy_mtl.main_scores", "spacy_mtl.exact"
CorpusScoresT = dict[str, dict[str, dict[str, Any]]]


@dataclass
class ComponentScores:
    """scores (dict[str, Any]): What `Multitask.score` returns. main (dict[str, float | None]): Each head's main score.
    by_corpus (dict[str, dict[str, float]]): Corpus -> head -> main score.
    """

    scores: dict[str, Any]
    main: dict[str, float | None]
    by_corpus: dict[str, dict[str, float]]


def score_component(heads: Mapping[str, Head], examples: Sequence[Example], name: str) -> ComponentScores:
    """Score all heads of a component.

    name (str): The component's name.
    """
    own = score_heads(heads, examples)
    corpora = score_corpora(heads, examples, own)
    names = {key: head.main_score for key, head in heads.items() if head.main_score is not None}
    main = {key: own[key][metric] for key, metric in names.items()}
    scores = {f"{key}_{metric}": value for key, found in own.items() for metric, value in found.items()}
    scores |= standard_scores(heads, own)
    scores |= joint_scores(heads, examples, main, name)
    for corpus, by_head in corpora.items():
        for key, found in by_head.items():
            scores.update({f"{corpus}/{key}_{metric}": value for metric, value in found.items()})
    by_corpus = {
        corpus: {key: found[names[key]] for key, found in by_head.items() if key in names}
        for corpus, by_head in corpora.items()
    }
    return ComponentScores(scores, main, by_corpus)


def score_heads(heads: Mapping[str, Head], examples: Sequence[Example]) -> dict[str, dict[str, Any]]:
    """Head -> metric -> value, from the docs that carry the head's annotation, of corpora that it may learn from."""
    views = HeadViews(examples)
    return {key: head.score(views.of(key)) for key, head in heads.items()}


def standard_scores(heads: Mapping[str, Head], own: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """spaCy's score keys, where exactly one head offers them."""
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
    heads: Mapping[str, Head], examples: Sequence[Example], own: Mapping[str, dict[str, Any]]
) -> CorpusScoresT:
    """Corpus -> head -> the head's metrics on the docs of this corpus, for the heads that the corpus has gold for.

    own (Mapping[str, dict[str, Any]]): The metrics on all examples, which are those of a corpus that has them all.
    """
    result: CorpusScoresT = {}
    for corpus, group in by_corpus(examples).items():
        scores = own if len(group) == len(examples) else score_heads(heads, group)
        result[corpus] = {key: found for key, found in scores.items() if is_scored(heads[key], found)}
    return result


def is_scored(head: Head, scores: Mapping[str, Any]) -> bool:
    """Whether the head has found docs to score."""
    names = scores if head.main_score is None else [head.main_score]
    return any(scores[name] is not None for name in names)


def joint_scores(
    heads: Mapping[str, Head], examples: Sequence[Example], main: Mapping[str, float | None], name: str
) -> dict[str, float | None]:
    """`multitask_score` and `multitask_exact` over this component and those that were scored before it. Heads without a
    main score enter neither.
    """
    if not examples:
        return {"multitask_score": None, "multitask_exact": None}
    scored: dict[str, list[float]] = examples[0].predicted.user_data.setdefault(MAIN, {})
    scored[name] = [value for value in main.values() if value is not None]
    values = [value for one in scored.values() for value in one]
    exact = [value for eg in judge(heads, examples, name) if (value := all_right(eg)) is not None]
    return {
        "multitask_score": sum(values) / len(values) if values else None,
        "multitask_exact": sum(exact) / len(exact) if exact else None,
    }


def judge(heads: Mapping[str, Head], examples: Sequence[Example], name: str) -> Sequence[Example]:
    """Note on each predicted doc whether every head that has gold is right; None if none has any."""
    views = HeadViews(examples)
    judged = [[head.is_correct(eg) for eg in views.of(key)] for key, head in heads.items() if head.main_score]
    for eg, *found in zip(examples, *judged, strict=True):
        known = [correct for correct in found if correct is not None]
        eg.predicted.user_data.setdefault(EXACT, {})[name] = all(known) if known else None
    return examples


def all_right(example: Example) -> bool | None:
    """Whether all components that have gold are right in a doc."""
    known = [value for value in example.predicted.user_data[EXACT].values() if value is not None]
    return all(known) if known else None
