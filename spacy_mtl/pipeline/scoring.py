"""The component's scores: of each head, of all together, and of each corpus."""

from collections.abc import Mapping, Sequence
from typing import Any

from spacy.training import Example

from ..protocols.head import Head
from .head_views import Views, by_corpus


def score_heads(heads: Mapping[str, Head], examples: Sequence[Example]) -> dict[str, Any]:
    """Each head's metrics as "head_metric"; spaCy's own key too where one head alone owns the annotation;
    `multitask_score`, the mean of the heads' main scores; `multitask_exact`, the share of docs on which every head that
    has gold is right. A head scores only the docs that carry its annotation, of corpora that it may learn from. One
    without a main score enters neither of the two.
    """
    views = Views(examples)
    result: dict[str, Any] = {}
    main: list[float] = []
    for key, head in heads.items():
        scores = head.score(views.of(key))
        result.update({f"{key}_{metric}": value for metric, value in scores.items()})
        if head.main_score is not None and scores[head.main_score] is not None:
            main.append(scores[head.main_score])
        if sum(other.attribute == head.attribute for other in heads.values()) == 1:
            result.update({name: scores[metric] for name, metric in head.standard_scores.items()})
    result["multitask_score"] = sum(main) / len(main) if main else None
    result["multitask_exact"] = share_exact(heads, examples)
    return result


def score_corpora(heads: Mapping[str, Head], examples: Sequence[Example]) -> dict[str, dict[str, dict[str, Any]]]:
    """Corpus -> head -> the head's metrics on the docs of this corpus, for the heads that the corpus has gold for."""
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for corpus, group in by_corpus(examples).items():
        views = Views(group)
        scores = {key: head.score(views.of(key)) for key, head in heads.items()}
        result[corpus] = {key: own for key, own in scores.items() if is_scored(heads[key], own)}
    return result


def is_scored(head: Head, scores: Mapping[str, Any]) -> bool:
    """Whether the head has found docs to score."""
    names = scores if head.main_score is None else [head.main_score]
    return any(scores[name] is not None for name in names)


def share_exact(heads: Mapping[str, Head], examples: Sequence[Example]) -> float | None:
    """The share of docs on which every head that has gold is right; None if no doc has any."""
    views = Views(examples)
    seen = [(head, views.of(key)) for key, head in heads.items() if head.main_score is not None]
    exact = []
    for place in range(len(examples)):
        found = [correct for head, view in seen if (correct := head.is_correct(view[place])) is not None]
        if found:
            exact.append(all(found))
    return sum(exact) / len(exact) if exact else None
