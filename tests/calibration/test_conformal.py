"""Limits of prediction sets: by hand, and their coverage by simulation."""

import numpy as np
import pytest
from scipy.stats import betabinom

from spacy_mtl.calibration.conformal import conformal_limit, needed_docs, truth_scores
from spacy_mtl.pipeline.doc_confidence import find_sets
from spacy_mtl.protocols.head_calibration import Ranked, SetRule


class Classes:
    """A head with given class probabilities."""

    one_holds = True

    def rank(self, docs, scores, *, least, most):
        found = []
        for row in np.log(scores):
            order = np.argsort(-row)[:most]
            kept = order[row[order] >= least]
            found.append(Ranked(kept.tolist(), row[kept], 1))
        return found


def drawn(n, rng, n_classes=5):
    """Probabilities, and classes drawn from others that are less certain."""
    logits = rng.normal(size=(n, n_classes)) * 2
    probabilities, true = (np.exp(logits / t) / np.exp(logits / t).sum(axis=1, keepdims=True) for t in (1.0, 2.0))
    gold = np.array([rng.choice(n_classes, p=row) for row in true])
    return probabilities, gold


def scores_of(method, probabilities, gold, most=5):
    ranked = Classes().rank(None, probabilities, least=-np.inf, most=most) if method == "aps" else None
    return truth_scores(np.log(probabilities[np.arange(len(gold)), gold]), ranked)


def sets_of(method, limit, probabilities, most=5):
    return find_sets(Classes(), SetRule(0.9, method, limit, most, 0), [], probabilities)


@pytest.mark.parametrize(
    ("coverage", "place"),
    [(0.5, 5), (0.8, 8), (0.9, 9), (0.85, 9)],  # ceil(10 * coverage) of nine scores
)
def test_the_limit_by_hand(coverage, place):
    scores = np.array([5.0, 1.0, 9.0, 3.0, 7.0, 2.0, 8.0, 4.0, 6.0])
    assert conformal_limit(scores, coverage) == place


@pytest.mark.parametrize(("coverage", "needed"), [(0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_the_least_number_of_docs(coverage, needed):
    assert needed_docs(coverage) == needed
    assert np.isfinite(conformal_limit(np.arange(needed, dtype="d"), coverage))
    with pytest.raises(ValueError, match=f"too few for a coverage of {coverage:g}, which needs {needed}"):
        conformal_limit(np.arange(needed - 1, dtype="d"), coverage)


def test_scores_of_truths_by_hand():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]])
    assert scores_of("lac", probabilities, np.array([1, 2])) == pytest.approx(-np.log([0.3, 0.2]))
    assert scores_of("aps", probabilities, np.array([1, 2])) == pytest.approx([0.8, 0.9])
    # the truth of the second doc is not among the two likeliest outcomes
    assert scores_of("aps", probabilities, np.array([1, 0]), most=2).tolist() == [pytest.approx(0.8), np.inf]


def test_sets_by_hand():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.4, 0.35, 0.25]])
    lac = sets_of("lac", -np.log(0.45), probabilities)
    assert [(one.outcomes, one.answered) for one in lac] == [((0,), True), ((1,), True), ((), False)]
    aps = sets_of("aps", 0.75, probabilities)
    assert [(one.outcomes, one.answered) for one in aps] == [((0, 1), False), ((1,), True), ((0, 1), False)]
    cut = sets_of("lac", np.inf, probabilities, most=2)
    assert [(one.size, one.complete, one.answered) for one in cut] == [(2, False, False)] * 3


@pytest.mark.parametrize("method", ["lac", "aps"])
@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_coverage_by_simulation(method, coverage):
    rng = np.random.default_rng(0)
    n_first, n_second, covered = 200, 200, []
    for _ in range(100):
        first, second = drawn(n_first, rng), drawn(n_second, rng)
        limit = conformal_limit(scores_of(method, *first), coverage)
        sets = sets_of(method, limit, second[0])
        covered.append(np.mean([gold in one.outcomes for gold, one in zip(second[1].tolist(), sets, strict=True)]))
    rank = int(np.ceil((n_first + 1) * coverage))
    law = betabinom(n_second, rank, n_first + 1 - rank)
    error = law.std() / n_second / 10
    if method == "lac":
        assert np.mean(covered) == pytest.approx(rank / (n_first + 1), abs=3 * error)
        inside = [law.ppf(0.005) <= share * n_second <= law.ppf(0.995) for share in covered]
        assert np.mean(inside) > 0.94
    else:
        assert np.mean(covered) > coverage - 3 * error
