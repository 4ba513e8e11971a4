"""Verdicts over all heads of a comparison, and the relative improvement over them."""

from dataclasses import replace

import numpy as np
import pytest

from spacy_mtl.comparison.paired_test import JudgedRuns, paired_test
from spacy_mtl.comparison.relative_improvement import relative_improvement
from spacy_mtl.comparison.verdict import Pair, holm, judge


def accuracy(counts):
    with np.errstate(invalid="ignore"):
        return counts[..., 0] / counts[..., 1]


def make_runs(rng, rate, *, n_seeds=3, n_docs=400):
    correct = (rng.random((n_seeds, n_docs)) < rate).astype("float64")
    return JudgedRuns(np.stack([correct, np.ones_like(correct)], axis=-1), accuracy)


def make_pair(head="intent", rates=(0.8, 0.8), seed=0, **sizes):
    rng = np.random.default_rng(seed)
    runs = [make_runs(rng, rate, **sizes) for rate in rates]
    return Pair(
        head=head,
        system="joint",
        baseline=f"{head} alone",
        split="test",
        metric=f"{head}_acc",
        runs=runs[0],
        baseline_runs=runs[1],
        scores=runs[0].scores.tolist(),
        baseline_scores=runs[1].scores.tolist(),
        support=runs[0].counts.shape[1],
    )


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.02, 0.02, 0.9], [0.06, 0.06, 0.9]),
    ],
)
def test_holm_by_hand(p_values, expected):
    assert holm(p_values) == pytest.approx(expected)


def test_one_helped_one_hurt_and_one_the_same():
    pairs = [make_pair("a", (0.9, 0.7)), make_pair("b", (0.6, 0.8)), make_pair("c", (0.8, 0.8), seed=3)]
    found = judge(pairs)
    assert [one.verdict for one in found] == ["helped", "hurt", "no difference shown"]
    assert found[0].low > 0 > found[1].high
    assert found[2].low < 0 < found[2].high
    for one, pair in zip(found, pairs, strict=True):
        assert one.difference == pytest.approx(np.mean(one.scores) - np.mean(one.baseline_scores))
        assert one.p <= one.p_corrected
        assert one.support == 400
        assert 0 < one.detectable < 0.2
        assert judge([pair])[0].detectable < one.detectable, "a head among others needs more"


def test_corrected_away_is_said():
    rng = np.random.default_rng(0)
    seed = next(
        seed for seed in rng.permutation(500) if 0.026 < paired_test(*both(make_pair(seed=int(seed)))).p <= 0.045
    )
    alone, among = judge([make_pair(seed=int(seed))]), judge([make_pair(seed=int(seed)), make_pair("b", seed=3)])
    assert alone[0].verdict != "no difference shown"
    assert among[0].verdict == "no difference shown"
    assert "not among all heads" in among[0].reason


def both(pair):
    return pair.runs, pair.baseline_runs


def test_one_seed_is_said():
    (found,) = judge([make_pair(rates=(0.9, 0.6), n_seeds=1)])
    assert found.verdict == "helped"
    assert "one seed" in found.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"problem": "head 'intent' does not count docs"}, "head 'intent' does not count docs"),
        ({"runs": None}, "no run of one of the systems has finished"),
        ({"support": 9}, "only 9 docs of test have gold, a test needs 10"),
        ({"baseline_runs": make_pair(n_docs=90).runs}, "not judged on the same docs: 400 and 90"),
        ({"runs": JudgedRuns(np.zeros((3, 400, 2)), accuracy)}, "intent_acc has no value in one of the runs"),
    ],
)
def test_what_can_not_be_measured_has_a_reason_and_costs_the_others_nothing(changes, reason):
    other = make_pair("b", (0.9, 0.7))
    found = judge([replace(make_pair(), **changes), other])
    assert found[0].verdict == "not measured"
    assert reason in found[0].reason
    assert found[0].difference is found[0].p is found[0].detectable is None
    assert found[1] == judge([other])[0]


def test_a_score_that_hangs_on_one_doc_is_not_measured():
    counts = np.zeros((3, 20, 2))
    counts[:, 4] = 1.0
    pair = replace(make_pair(), runs=JudgedRuns(counts, accuracy), baseline_runs=JudgedRuns(counts, accuracy))
    assert "depends on that one" in judge([replace(pair, support=20)])[0].reason


def test_systems_that_are_right_in_the_same_docs_do_not_differ():
    pair = make_pair()
    same = JudgedRuns(np.repeat(pair.runs.counts[:1], 3, axis=0), accuracy)
    (found,) = judge([replace(pair, runs=same, baseline_runs=same)])
    assert (found.verdict, found.p, found.difference, found.detectable) == ("no difference shown", 1.0, 0.0, None)


def test_false_verdicts_over_all_heads_are_rare():
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(400):
        found = judge([make_pair(str(head), (0.85, 0.85), seed=int(rng.integers(1 << 31))) for head in range(4)])
        alarms += any(one.verdict in ("helped", "hurt") for one in found)
    assert alarms / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_relative_improvement_is_the_mean_of_the_relative_changes():
    pairs = [both(make_pair("a", (0.9, 0.6))), both(make_pair("b", (0.7, 0.8)))]
    found = relative_improvement(pairs)
    expected = np.mean([joint.scores.mean() / alone.scores.mean() - 1 for joint, alone in pairs])
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high


def test_relative_improvement_of_one_head_is_the_paired_test_divided():
    """A single head: the interval over docs is that of the difference of joint - alone * ratio, divided by alone."""
    joint, alone = both(make_pair(rates=(0.82, 0.8), n_seeds=1, n_docs=4000))
    found, test = relative_improvement([(joint, alone)]), paired_test(joint, alone)
    assert found.value == pytest.approx(test.value / alone.scores[0])
    assert found.high - found.low == pytest.approx(2 * 1.96 * test.error / alone.scores[0], rel=0.03)


def test_the_interval_of_the_relative_improvement_covers():
    rng = np.random.default_rng(2)
    rates = {"a": (0.8, 0.7), "b": (0.6, 0.6)}
    truth = np.mean([joint / alone - 1 for joint, alone in rates.values()])
    covered = []
    for _ in range(400):
        pairs = [both(make_pair(head, two, seed=int(rng.integers(1 << 31)))) for head, two in rates.items()]
        found = relative_improvement(pairs)
        covered.append(found.low <= truth <= found.high)
    assert 0.92 < np.mean(covered) <= 1.0


def test_relative_improvement_of_heads_on_docs_of_their_own_and_without_a_value():
    one, other = both(make_pair("a", (0.9, 0.6))), both(make_pair("b", (0.7, 0.8), n_docs=150))
    assert relative_improvement([one, other]).low is not None
    zero = JudgedRuns(np.stack([np.zeros((3, 400)), np.ones((3, 400))], axis=-1), accuracy)
    for pairs in ([(one[0], zero)], []):
        assert relative_improvement(pairs).value is None
