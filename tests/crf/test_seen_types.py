"""Costs of combinations of a class and entity types that do not occur together in training."""

from itertools import combinations

import numpy as np
import pytest
from thinc.api import Model

from spacy_mtl.crf.seen_types import Counts, SeenTypes, gamma_shape, unseen_costs

CLASSES = ("book", "play", "other")
LABELS = ("artist", "city", "date", "song", "time", "new")


def make_seen(classes=("book", "play")):
    """`book` has city, date and time in all combinations, `play` has artist, song and date."""
    seen = SeenTypes()
    for name, types in zip(classes, (("city", "date", "time"), ("artist", "date", "song")), strict=True):
        for n_types in range(4):
            for kind in combinations(types, n_types):
                seen.see(name, kind)
    return seen


def shape_of(expected, rate):
    """By trying."""
    shapes = np.exp(np.linspace(-15, 15, 300_001))
    rates = (shapes[:, None] * expected / (shapes[:, None] + expected)).sum(axis=1)
    return shapes[np.abs(rates - rate).argmin()]


@pytest.mark.parametrize("rate", [0.5, 1.0, 4.0])
def test_unseen_combinations_have_the_rate_of_those_that_were_seen_once(rate):
    expected = np.array([0.01, 0.5, 3.0, 40.0])
    shape = gamma_shape(expected, rate)
    assert (shape * expected / (shape + expected)).sum() == pytest.approx(rate, rel=1e-9)
    assert shape == pytest.approx(shape_of(expected, rate), rel=1e-3)


def test_costs_are_what_the_estimate_says():
    counts = np.array([[0.0, 1.0, 5.0, 1.0], [0.0, 0.0, 1.0, 2.0]])
    expected = np.array([[8.0, 1.0, 2.0, 1.0], [2.0, 0.0, 1.0, 0.5]])
    remain = np.array([[True, True, True, False], [True, True, True, True]])
    # two that are seen once, of known parts, and one for the next
    shape = shape_of(np.array([8.0, 2.0]), 3.0)
    costs = unseen_costs(Counts(counts, expected, remain))
    assert costs[:, 0] == pytest.approx([np.log(1 + 8 / shape), np.log(1 + 2 / shape)], rel=1e-3)
    assert not costs[:, 1:].any()


def test_where_training_shows_as_many_new_combinations_as_chance_would_nothing_costs_anything():
    counts = np.array([0.0, 0.0, 1.0, 1.0])
    found = Counts(counts, np.array([1.5, 1.5, 2.0, 1.0]), counts >= 0)
    assert not unseen_costs(found).any()
    found.remain[:] = False
    assert unseen_costs(found)[:2].all()


def test_the_more_often_chance_would_have_shown_it_the_more_it_costs():
    costs = make_seen().costs(CLASSES, LABELS)
    # of 16 kinds half are of each class; four have artist, eight date
    assert costs.types[0, 0] == costs.types[0, 3] > 0
    assert not costs.types[0, [1, 2, 4]].any()
    assert costs.types[0, 0] == costs.types[1, 1]
    seen = make_seen()
    for index in range(8):
        seen.see("play", [f"rare{index}"])
    costs = seen.costs(CLASSES, ("artist", "rare0"))
    assert costs.types[0, 0] > costs.types[0, 1] > 0


def test_what_no_doc_had_costs_nothing():
    costs = make_seen().costs(CLASSES, LABELS)
    assert not costs.types[:, 5].any()
    assert not costs.pairs[:, 5].any()
    assert not costs.pairs[:, :, 5].any()
    assert not costs.types[2].any()


def test_two_of_one_type_and_two_types_cost_what_no_doc_of_the_class_had():
    seen = make_seen()
    costs = seen.costs(CLASSES, LABELS)
    assert costs.pairs[0, 1, 1] > 0
    assert costs.pairs[0, 1, 2] == costs.pairs[0, 2, 1] == 0
    # artist is not of the class: it costs something alone
    assert costs.pairs[0, 0, 1] == 0
    seen.see("book", ["city", "city", "city"])
    assert seen.costs(CLASSES, LABELS).pairs[0, 1, 1] == 0
    # c, d, e and f come in twos, with a or alone; b only with a
    apart = SeenTypes(("book", kind) for size in (2, 3) for kind in combinations("acdef", size))
    apart.see("book", "ab")
    apart.see("book", "b")
    pairs = apart.costs(["book"], "abcdef").pairs[0]
    assert pairs[1, 2] == pairs[2, 1] > 0
    assert pairs[0, 1] == pairs[2, 3] == 0


def test_a_doc_that_comes_again_changes_nothing():
    seen = make_seen()
    before = seen.costs(CLASSES, LABELS)
    for _ in range(3):
        seen.see("book", ["date", "city"])
    after = seen.costs(CLASSES, LABELS)
    assert (before.types == after.types).all()
    assert (before.pairs == after.pairs).all()


def test_what_is_seen_later_counts():
    seen = make_seen()
    before = seen.costs(CLASSES, LABELS).types[0]
    seen.see("book", ["artist"])
    after = seen.costs(CLASSES, LABELS).types[0]
    assert after[0] == 0
    # a combination of one kind makes other new ones less improbable
    assert 0 < after[3] < before[3]


def test_a_doc_of_unknown_class_changes_nothing_for_classes_that_are_known():
    seen, pseudo = make_seen(), make_seen()
    pseudo.see(None, ["artist", "city"])
    pseudo.see(None, ["city", "city"])
    known, other = seen.costs(CLASSES, LABELS), pseudo.costs(CLASSES, LABELS)
    assert (known.types == other.types).all()
    assert (known.pairs[:2] == other.pairs[:2]).all()


def test_classes_without_docs_of_their_own_learn_from_all_which_types_go_together():
    seen, unknown = make_seen(), make_seen(classes=(None, None))
    found = seen.costs(CLASSES, LABELS).pairs[2]
    assert found[0, 1] > 0
    assert found[1, 2] == 0
    assert (unknown.costs(CLASSES, LABELS).pairs == found).all()
    assert not unknown.costs(CLASSES, LABELS).types.any()


def test_novelty_is_the_share_of_kinds_with_something_new():
    kinds = [
        ("a", ("x", "y")),
        ("a", ("x",)),
        ("b", ("x", "y")),
        ("b", ("y",)),
        ("b", ()),
        (None, ("x",)),
        ("a", ("z",)),
    ]
    # y of the first, x of the third; nothing else has z, so it is no new combination
    assert SeenTypes(kinds).novelty() == 2 / 6
    kinds = [("a", ("x", "x")), ("a", ("x",)), ("a", ("x", "y")), ("a", ("y",))]
    assert SeenTypes(kinds).novelty() == 2 / 4
    assert SeenTypes().novelty() == 0.0


def test_nothing_seen_costs_nothing():
    costs = SeenTypes().costs(CLASSES, LABELS)
    assert costs.types.shape == (3, 6)
    assert costs.pairs.shape == (3, 6, 6)
    assert not costs.types.any()
    assert not costs.pairs.any()


def test_costs_of_counts_are_of_each_entity_and_of_each_two():
    costs = make_seen().costs(CLASSES, LABELS)
    rng = np.random.default_rng(0)
    pairs = rng.random(costs.pairs.shape)
    object.__setattr__(costs, "pairs", pairs + pairs.transpose(0, 2, 1))
    for entities in ([], [0], [1, 1], [0, 1, 1, 3], [2, 2, 2, 4]):
        expected = sum(costs.types[0, one] for one in entities)
        expected += sum(costs.pairs[0, one, other] for one, other in combinations(entities, 2))
        assert costs.of_counts(np.bincount(entities, minlength=6)[None], 0)[0] == pytest.approx(expected)


def test_it_is_saved_with_the_model():
    seen = make_seen()
    seen.see(None, ["artist"])
    seen.see("", ["artist"])
    model = Model("x", lambda model, X, is_train: (X, lambda dY: dY), attrs={"seen_types": seen})
    other = Model("x", lambda model, X, is_train: (X, lambda dY: dY), attrs={"seen_types": SeenTypes()})
    other.from_bytes(model.to_bytes())
    assert other.attrs["seen_types"].kinds == seen.kinds
    assert other.to_bytes() == model.to_bytes()


def test_annotation_is_repeated_for_the_same_class_only(monkeypatch):
    seen = SeenTypes()
    asked = [("book", b"1"), ("book", b"1"), ("play", b"1"), ("book", b"2"), (None, b"1"), ("play", b"1")]
    assert [seen.is_repeated(*one) for one in asked] == [False, True, False, False, False, True]
    monkeypatch.setattr("spacy_mtl.crf.seen_types.MAX_MARKS", 4)
    assert [seen.is_repeated(*one) for one in [("new", b""), ("book", b"1")]] == [False, False]
