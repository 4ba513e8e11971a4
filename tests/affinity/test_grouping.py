"""Which heads to train together: by hand, exhaustively, and greedily."""

import numpy as np
import pytest

from spacy_mtl.affinity.grouping import best_groupings, choose, mean_affinity, partitions

# a and b help each other, c hurts both and is hurt by a
PAIRS = {("a", "b"): 0.2, ("b", "a"): 0.1, ("a", "c"): -0.3, ("c", "a"): -0.1, ("b", "c"): 0.1, ("c", "b"): -0.2}


def units(*heads):
    return [(head,) for head in heads]


def test_the_mean_is_over_heads_and_a_head_alone_has_0():
    assert mean_affinity([("a", "b"), ("c",)], PAIRS) == pytest.approx((0.1 + 0.2 + 0.0) / 3)
    whole = (0.1 - 0.1) / 2 + (0.2 - 0.2) / 2 + (-0.3 + 0.1) / 2
    assert mean_affinity([("a", "b", "c")], PAIRS) == pytest.approx(whole / 3)
    assert mean_affinity([("a", "x")], {("x", "a"): 1.0}) == 0.5, "a pair that was never measured counts as 0"


def test_the_best_grouping_of_each_size():
    found = best_groupings(["c", "b", "a"], PAIRS, units("a", "b", "c"), max_groups=3)
    assert [one.groups for one in found] == [[["c", "b", "a"]], [["c"], ["b", "a"]], [["c"], ["b"], ["a"]]]
    assert choose(found).groups == [["c"], ["b", "a"]]
    assert [len(one.groups) for one in best_groupings(["c", "b", "a"], PAIRS, units("a", "b", "c"), 2)] == [1, 2]


def test_of_equal_groupings_that_with_the_fewest_groups():
    assert choose(best_groupings(["a", "b"], {}, units("a", "b"), 2)).groups == [["a", "b"]]


def test_heads_that_need_each_other_stay_together():
    found = best_groupings(["a", "b", "c"], PAIRS, [("a", "c"), ("b",)], 3)
    assert [one.groups for one in found] == [[["a", "b", "c"]], [["a", "c"], ["b"]]]


def test_all_partitions_are_tried_once():
    found = [frozenset(map(frozenset, groups)) for groups in partitions(units(*"abcde"))]
    assert len(found) == len(set(found)) == 52


@pytest.mark.parametrize("seed", range(5))
def test_greedy_merges_find_separate_clusters(seed):
    """Twelve heads in three clusters: within one they help each other, across they hurt."""
    rng = np.random.default_rng(seed)
    heads = [f"h{number}" for number in rng.permutation(12)]
    cluster = {head: int(head[1:]) % 3 for head in heads}
    pairs = {
        (one, other): rng.uniform(0.1, 0.2) * (1 if cluster[one] == cluster[other] else -1)
        for one in heads
        for other in heads
        if one != other
    }
    groups = choose(best_groupings(heads, pairs, units(*heads), 12)).groups
    assert all(len({cluster[head] for head in group}) == 1 for group in groups)
    three = next(one for one in best_groupings(heads, pairs, units(*heads), 3) if len(one.groups) == 3)
    assert sorted(len(group) for group in three.groups) == [4, 4, 4]
