"""The paired test: its variances against closed forms and brute force, its error rate and its power in simulations."""

from itertools import product

import numpy as np
import pytest
from scipy.special import stdtr, stdtrit

from spacy_mtl.comparison.detectable import smallest_detectable
from spacy_mtl.comparison.paired_test import (
    Estimate,
    JudgedRuns,
    Measured,
    estimate_difference,
    jackknife_variance,
    paired_test,
)


def accuracy(counts):
    with np.errstate(invalid="ignore"):
        return counts[..., 0] / counts[..., 1]


def f_score(counts):
    with np.errstate(invalid="ignore"):
        return 2 * counts[..., 0] / (2 * counts[..., 0] + counts[..., 1] + counts[..., 2])


def right(correct):
    """Runs of a classifier. correct: (n_seeds, n_docs)."""
    correct = np.asarray(correct, dtype="float64")
    return JudgedRuns(np.stack([correct, np.ones_like(correct)], axis=-1), accuracy)


def simulate(rng, *, n_seeds=3, n_docs=300, sd_seed=0.0, sd_doc=1.0, shift=0.0, level=0.8):
    """Two systems whose logits vary with the seed, with the doc, with the doc in this system, and with all."""
    shared = rng.normal(size=n_docs)
    systems = []
    for sign in (0.5, -0.5):
        logits = level + sign * shift + shared + sd_doc * rng.normal(size=n_docs)
        logits = logits + sd_seed * rng.normal(size=(n_seeds, 1))
        systems.append(right(rng.random((n_seeds, n_docs)) < 1 / (1 + np.exp(-logits))))
    return systems


def test_one_seed_and_accuracy_is_the_paired_test_of_proportions():
    """The variance of a mean of paired differences, in closed form."""
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 1, 50)) < 0.7
    found = paired_test(right(one), right(other))
    differences = (one.astype(float) - other)[0]
    assert found.value == pytest.approx(differences.mean())
    assert found.error**2 == pytest.approx(differences.var(ddof=1) / 50)
    t = abs(found.value) / found.error
    assert found.p == pytest.approx(2 * stdtr(49, -t))
    assert found.interval()[1] == pytest.approx(found.value + stdtrit(49, 0.975) * found.error)
    assert (found.df_seeds, found.seed_share) == (0, 0)


def test_the_jackknife_of_a_proportion_is_its_analytical_variance():
    correct = np.array([[1.0] * 30 + [0.0] * 10])
    assert jackknife_variance(right(correct).effects[0]) == pytest.approx(0.75 * 0.25 / 39)


def test_effects_are_those_of_leaving_each_doc_out():
    counts = np.random.default_rng(1).integers(0, 4, size=(2, 12, 3)).astype("float64")
    runs = JudgedRuns(counts, f_score)
    left_out = np.array([[f_score(np.delete(rows, doc, axis=0).sum(axis=0)) for doc in range(12)] for rows in counts])
    expected = (runs.scores[:, None] - left_out) * 11 / 12
    assert runs.effects == pytest.approx(expected - expected.mean(axis=1, keepdims=True))


def test_the_variance_of_f_is_that_of_the_full_bootstrap_over_docs():
    """All 7 ** 7 resamples of seven docs would be too many: all 5 ** 5 of five kinds of doc, many of each."""
    rng = np.random.default_rng(2)
    kinds = rng.integers(0, 3, size=(2, 5, 3)) + 4.0
    draws = np.array(list(product(range(5), repeat=5)))
    scores = [f_score(rows[draws].sum(axis=1)) for rows in kinds]
    exact = (scores[0] - scores[1]).var() * 5 / 4
    found = paired_test(*(JudgedRuns(rows[None], f_score) for rows in kinds))
    assert found.error**2 == pytest.approx(exact, rel=0.1)


def test_blocks_change_nothing(monkeypatch):
    counts = np.random.default_rng(3).integers(0, 4, size=(2, 50, 3)).astype("float64")
    whole = JudgedRuns(counts, f_score).effects
    monkeypatch.setattr("spacy_mtl.comparison.paired_test.BLOCK", 21)
    assert np.array_equal(JudgedRuns(counts, f_score).effects, whole)


def test_docs_without_gold_change_nothing():
    counts = np.random.default_rng(4).integers(0, 4, size=(2, 3, 200, 3)).astype("float64")
    padded = np.concatenate([counts, np.zeros((2, 3, 800, 3))], axis=2)
    without, with_them = (paired_test(*(JudgedRuns(rows, f_score) for rows in both)) for both in (counts, padded))
    assert with_them.value == pytest.approx(without.value)
    assert with_them.error == pytest.approx(without.error, rel=0.01)


def test_the_variance_is_that_of_repeated_experiments():
    """Seeds and docs both vary: the mean of the estimated variances is the variance of the differences."""
    rng = np.random.default_rng(5)
    found = [paired_test(*simulate(rng, sd_seed=0.3)) for _ in range(1500)]
    spread = np.var([estimate.value for estimate in found])
    assert np.mean([estimate.error**2 for estimate in found]) == pytest.approx(spread, rel=0.12)


def test_the_interaction_is_not_counted_twice():
    """Runs that differ in nothing but noise by doc: with it twice the variance would be double."""
    rng = np.random.default_rng(6)
    found = [paired_test(*simulate(rng, n_seeds=8, sd_seed=0.0, sd_doc=0.0)) for _ in range(600)]
    spread = np.var([estimate.value for estimate in found])
    assert np.mean([estimate.error**2 for estimate in found]) < 1.4 * spread


@pytest.mark.parametrize("sd_seed", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("sd_doc", [0.0, 1.0])
def test_false_alarms_are_as_rare_as_the_level_says(sd_seed, sd_doc):
    """At 5 % and at 1 %, with few seeds. A test over docs alone gives up to 60 % here."""
    rng = np.random.default_rng(7)
    p_values = np.array([paired_test(*simulate(rng, sd_seed=sd_seed, sd_doc=sd_doc)).p for _ in range(2000)])
    for level in (0.05, 0.01):
        noise = 3 * np.sqrt(level * (1 - level) / len(p_values))
        assert (p_values <= level).mean() < level + noise


def test_a_test_over_docs_alone_would_fail_that():
    rng = np.random.default_rng(7)
    found = [paired_test(*simulate(rng, sd_seed=0.3, sd_doc=0.0)) for _ in range(300)]
    docs_only = [Estimate(e.value, (e.error**2 * (1 - e.seed_share)) ** 0.5, 0.0, 0, e.df_docs).p for e in found]
    assert np.mean(np.array(docs_only) < 0.05) > 0.2


def test_seeds_that_agree_by_chance_do_not_make_the_test_sure():
    """Equal scores, but of different docs: their true spread is at least what the docs give."""
    rng = np.random.default_rng(8)
    one = np.array([rng.permutation([1.0] * 70 + [0.0] * 30) for _ in range(3)])
    other = np.array([rng.permutation([1.0] * 55 + [0.0] * 45) for _ in range(3)])
    found = paired_test(right(one), right(other))
    assert found.error**2 > 0.9 * (0.7 * 0.3 + 0.55 * 0.45) / 300


def test_p_is_the_level_at_which_the_critical_value_is_reached():
    estimate = Estimate(0.03, 0.01, 0.4, 4, 500)
    assert estimate.critical(estimate.p) == pytest.approx(3.0)
    assert Estimate(0.0, 0.01, 0.4, 4, 500).p == 1.0
    assert Estimate(0.0, 0.0, 0.0, 4, 500).p == 1.0
    assert Estimate(0.9, 1e-9, 0.0, 4, 10_000).p < 1e-30
    seeds, docs = Estimate(0.03, 0.01, 1.0, 4, 500), Estimate(0.03, 0.01, 0.0, 4, 500)
    assert seeds.critical(0.05) == pytest.approx(2.776, abs=1e-3)
    assert docs.critical(0.05) == pytest.approx(1.965, abs=1e-3)


def test_swapped_systems_give_the_same_with_the_other_sign():
    one, other = simulate(np.random.default_rng(9), shift=0.3)
    there, back = paired_test(one, other), paired_test(other, one)
    assert (back.value, back.error, back.p) == pytest.approx((-there.value, there.error, there.p))


def test_a_seed_that_failed_in_one_system():
    """The variance over the seeds of a system with a single run is that of the other."""
    one, other = simulate(np.random.default_rng(10), sd_seed=0.5)
    alone = JudgedRuns(one.counts[:1], accuracy)
    found = paired_test(alone, other)
    assert found.df_seeds == 2
    assert found.error > paired_test(one, other).error


@pytest.mark.parametrize("sd_seed", [0.0, 0.3])
def test_what_is_called_detectable_is_detected_in_80_percent(sd_seed):
    rng = np.random.default_rng(11)
    error = np.sqrt(np.mean([paired_test(*simulate(rng, sd_seed=sd_seed)).error ** 2 for _ in range(300)]))
    shares = [paired_test(*simulate(rng, sd_seed=sd_seed)).seed_share for _ in range(300)]
    planted = smallest_detectable(Estimate(0.0, error, float(np.mean(shares)), 4, 299), 0.05)
    shift = planted / np.mean([paired_test(*simulate(rng, sd_seed=sd_seed, shift=1.0)).value for _ in range(400)])
    found = [paired_test(*simulate(rng, sd_seed=sd_seed, shift=shift)).p <= 0.05 for _ in range(1000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.08)


def test_several_others_with_variances_of_their_own():
    """Welch's degrees of freedom, and the variances of all."""
    effects = np.zeros((3, 5))
    parts = [Measured(np.array(scores), effects) for scores in ([1.0, 2.0, 3.0], [5.0, 5.0, 5.0], [0.0, 4.0, 8.0])]
    found = estimate_difference(parts[0], parts[1:], equal_variance=False)
    assert found.value == pytest.approx(2 - 5 - 4)
    assert found.error**2 == pytest.approx((1 + 0 + 16) / 3)
    assert found.df_seeds == pytest.approx((1 / 3 + 16 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (16 / 3) ** 2 / 2))
