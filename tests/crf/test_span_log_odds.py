"""The log-odds of spans against sums over all tag sequences."""

from itertools import product

import numpy as np
import pytest
from target_gradients import assert_finite_differences

from spacy_mtl.crf.linear_chain import CRFScores
from spacy_mtl.crf.span_log_odds import span_odds
from spacy_mtl.crf.tag_scheme import make_tag_scheme

N_TOKENS, N_LABELS = 4, 2


def random_scores(scheme, *, size=1.0, seed=0):
    rng = np.random.default_rng(seed)
    n = scheme.n_tags
    shapes = ((N_TOKENS, n), (n, n), (n,), (n,))
    parts = [rng.normal(scale=size, size=shape) for shape in shapes]
    return CRFScores(*parts, np.array([N_TOKENS]), np.arange(N_TOKENS))


def enumerated(scores, scheme, possible, span):
    """The log-odds of a span by enumeration of all valid tag sequences."""
    logs = {True: [], False: []}
    for tags in product(range(scheme.n_tags), repeat=N_TOKENS):
        tags = np.array(tags)
        steps = scheme.allowed[tags[:-1], tags[1:]]
        valid = scheme.starts[tags[0]] and scheme.ends[tags[-1]] and steps.all()
        if not valid or not possible[np.arange(N_TOKENS), tags].all():
            continue
        log = scores.emissions[np.arange(N_TOKENS), tags].sum() + scores.transitions[tags[:-1], tags[1:]].sum()
        log += scores.starts[tags[0]] + scores.ends[tags[-1]]
        found = zip(*(column.tolist() for column in scheme.spans(tags)), strict=True)
        logs[span in set(found)].append(log)
    with_span, without = (np.logaddexp.reduce(logs[key]) for key in (True, False))
    return with_span - without


@pytest.mark.parametrize("kind", ["BIO", "BILUO"])
@pytest.mark.parametrize("span", [(0, 1, 0), (1, 3, 1), (2, 4, 0), (0, 4, 1)])
def test_log_odds_are_those_of_enumeration(kind, span):
    scheme = make_tag_scheme(kind, N_LABELS)
    scores, possible = random_scores(scheme), np.ones((N_TOKENS, scheme.n_tags), dtype=bool)
    value, _ = span_odds(scheme, possible, *span).measure(scores)
    assert value == pytest.approx(enumerated(scores, scheme, possible, span), abs=1e-9)


@pytest.mark.parametrize("kind", ["BIO", "BILUO"])
def test_blocked_tokens_are_in_no_span(kind):
    scheme = make_tag_scheme(kind, N_LABELS)
    blocked = np.array([False, False, True, False])
    possible = scheme.around_blocked(blocked, np.arange(N_TOKENS))
    scores = random_scores(scheme, seed=1)
    value, _ = span_odds(scheme, possible, 0, 2, 1).measure(scores)
    assert value == pytest.approx(enumerated(scores, scheme, possible, (0, 2, 1)), abs=1e-9)
    assert span_odds(scheme, possible, 1, 3, 0) is None


@pytest.mark.parametrize("kind", ["BIO", "BILUO"])
def test_gradient_is_that_of_finite_differences(kind):
    scheme = make_tag_scheme(kind, N_LABELS)
    scores, possible = random_scores(scheme, seed=2), np.ones((N_TOKENS, scheme.n_tags), dtype=bool)
    odds = span_odds(scheme, possible, 1, 3, 0)
    assert_finite_differences(odds, scores)


@pytest.mark.parametrize("sure", [60.0, -60.0])
def test_log_odds_stay_exact_where_a_probability_is_1_or_0(sure):
    scheme = make_tag_scheme("BIO", N_LABELS)
    scores, possible = random_scores(scheme, seed=3), np.ones((N_TOKENS, scheme.n_tags), dtype=bool)
    scores.emissions[1, 1] += sure
    scores.emissions[2, 2] += sure
    scores.emissions[3, 0] += sure
    value, _ = span_odds(scheme, possible, 1, 3, 0).measure(scores)
    assert abs(value) > 50
    assert value == pytest.approx(enumerated(scores, scheme, possible, (1, 3, 0)), rel=1e-9)
