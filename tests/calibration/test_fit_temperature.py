"""The fitted temperature against a search over a grid."""

import numpy as np
import pytest
from crf_cases import random_scores

from spacy_mtl.calibration.fit_temperature import LEAST, MOST, fit_temperature
from spacy_mtl.crf.linear_chain import constrain
from spacy_mtl.crf.span_probability import span_probabilities
from spacy_mtl.crf.tag_scheme import make_tag_scheme
from spacy_mtl.crf.tempered import ChainEvidence, SpanEvidence, at_temperature
from spacy_mtl.crf.viterbi import viterbi
from spacy_mtl.layers.label_evidence import LabelEvidence, OddsEvidence, chosen_items

RNG = np.random.default_rng(0)


def sampled_labels(n=400, *, temperature, n_labels=4):
    """Logits, and labels drawn from their softmax at a temperature."""
    logits = RNG.normal(size=(n, n_labels)) * 3
    odds = np.exp(logits / temperature)
    gold = np.array([RNG.choice(n_labels, p=row / row.sum()) for row in odds])
    return chosen_items("docs", np.arange(n), logits, gold, logits.argmax(axis=1), np.arange(n))


def sampled_odds(n=400, *, temperature, threshold=0.5):
    logits = RNG.normal(size=n) * 3
    gold = RNG.random(n) < 1 / (1 + np.exp(-logits / temperature))
    return OddsEvidence("classes", np.arange(n), logits, gold, np.ones(n, dtype=bool), threshold)


def chain_evidence(kind, *, seed=0):
    """A CRF over docs whose gold tags are those of another, similar CRF."""
    scheme, lengths = make_tag_scheme("BIO", 2), np.array([4, 5, 3, 6])
    scores = random_scores(scheme, lengths, seed=seed)
    constrained = constrain(scores, scheme)
    tags = viterbi(constrained)
    noisy = constrain(scores + random_scores(scheme, lengths, seed=seed + 1) * 0.7, scheme)
    gold = viterbi(noisy)
    starts, ends, labels = scheme.spans(tags)
    right = set(zip(*(column.tolist() for column in scheme.spans(gold)), strict=True))
    correct = np.array([span in right for span in zip(starts.tolist(), ends.tolist(), labels.tolist(), strict=True)])
    owners = np.repeat(np.arange(4), lengths)
    if kind == "entities":
        return SpanEvidence(owners[starts], correct, constrained, tags, starts, ends)
    possible = np.zeros(constrained.emissions.shape, dtype=bool)
    possible[np.arange(len(gold)), gold] = True
    is_right = np.array([(gold == tags)[owners == doc].all() for doc in range(4)])
    return ChainEvidence(np.arange(4), is_right, constrained, tags, possible, np.ones(4, dtype=bool))


def brute_force(evidence):
    grid = np.exp(np.linspace(np.log(LEAST), np.log(MOST), 4001))
    return grid[np.argmin([evidence.losses(temperature).sum() for temperature in grid])]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("make", [sampled_labels, sampled_odds])
def test_it_is_that_of_a_grid_and_near_the_true_one(make, temperature):
    evidence = make(temperature=temperature)
    found = fit_temperature([evidence])
    assert found == pytest.approx(brute_force(evidence), rel=0.002)
    assert found == pytest.approx(temperature, rel=0.3)


@pytest.mark.parametrize("kind", ["entities", "docs"])
@pytest.mark.parametrize("seed", [0, 10])
def test_a_chain_has_that_of_a_grid(kind, seed):
    evidence = chain_evidence(kind, seed=seed)
    assert fit_temperature([evidence]) == pytest.approx(brute_force(evidence), rel=0.005)


def test_batches_count_together():
    parts = [sampled_labels(100, temperature=temperature) for temperature in (0.5, 3.0)]
    whole = LabelEvidence(
        "docs",
        np.arange(200),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("logits", "gold", "decided", "shown")),
    )
    assert fit_temperature(parts) == pytest.approx(fit_temperature([whole]), rel=1e-6)


def test_a_head_that_is_always_right_does_not_become_certain():
    logits = RNG.normal(size=(50, 3))
    best = logits.argmax(axis=1)
    evidence = chosen_items("docs", np.arange(50), logits, best, best, np.arange(50))
    assert fit_temperature([evidence]) >= LEAST


def test_without_gold_there_is_none():
    evidence = chosen_items("docs", np.arange(3), np.zeros((3, 2)), np.full(3, -1), np.zeros(3, int), np.arange(3))
    with pytest.raises(ValueError, match="no item has gold"):
        fit_temperature([evidence])


def test_log_odds_are_divided_as_seen_from_the_threshold():
    evidence = sampled_odds(temperature=2.0, threshold=0.8)
    reached = 1 / (1 + np.exp(-evidence.logits)) >= 0.8
    for temperature in (0.2, 3.0):
        assert ((evidence.probabilities(temperature) >= 0.8) == reached).all()


def test_span_evidence_gives_marginals_at_the_temperature():
    evidence = chain_evidence("entities")
    expected = span_probabilities(at_temperature(evidence.scores, 2.0), evidence.tags, evidence.starts, evidence.ends)
    assert evidence.probabilities(2.0).tolist() == expected.tolist()
