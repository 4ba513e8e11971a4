"""Probabilities of single annotations on docs: `ent._.score`, `token._.score` and `token._.scores`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span, Token

# Keys of `doc.user_data` under which spaCy keeps extension attributes: ("._.", name, start, end).
PREFIX, SCORE, SCORES = "._.", "score", "scores"


def least_score(token: Token) -> float | None:
    """Get the probability of the least certain of a token's annotations; None if none was kept."""
    found: dict[str, float] = token._.get(SCORES)
    return min(found.values(), default=None)


def write_span_scores(doc: Doc, places: Sequence[tuple[int, int]], scores: Sequence[float]) -> None:
    """Write `span._.score` of spans, given by first token and end."""
    for (start, end), score in zip(places, scores, strict=True):
        span = doc[start:end]
        key: Any = (PREFIX, SCORE, span.start_char, span.end_char)
        doc.user_data[key] = score


def write_token_scores(doc: Doc, scores: Mapping[str, NDArray[np.float64]]) -> None:
    """Write `token._.scores`: head -> the probability of the token's annotation, without NaN.

    scores (Mapping[str, FloatsT]): For each head (n_tokens,).
    """
    by_head = {head: values.tolist() for head, values in scores.items()}
    for token in doc:
        key: Any = (PREFIX, SCORES, token.idx, None)
        found = {head: values[token.i] for head, values in by_head.items() if values[token.i] == values[token.i]}
        doc.user_data[key] = (doc.user_data.get(key) or {}) | found


def register_scores() -> None:
    """Register `span._.score`, `token._.score` and `token._.scores`, unless extensions have these names already."""
    if not Span.has_extension(SCORE):
        Span.set_extension(SCORE, default=None)
    if not Token.has_extension(SCORES):
        Token.set_extension(SCORES, default={})
    if not Token.has_extension(SCORE):
        Token.set_extension(SCORE, getter=least_score)
