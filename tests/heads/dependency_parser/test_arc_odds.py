"""The log-odds of labelled arcs against their probabilities, and their gradient against finite differences."""

import numpy as np
import pytest
from target_gradients import assert_finite_differences

from spacy_mtl.heads.dependency_parser.arc_odds import ArcOdds, odds_of_both
from spacy_mtl.heads.dependency_parser.arc_scores import N_DISTANCES, ArcScores, score_arcs, score_labels
from spacy_mtl.heads.dependency_parser.sentence_pieces import Bucket
from spacy_mtl.layers.softmax import softmax

WORDS = np.array([0, 2, 3])


def random_scores():
    rng = np.random.default_rng(0)
    arcs = ((4, 5), (4, 5), (5,), (4, N_DISTANCES), (4, N_DISTANCES), (4, 2), (4, 4), (4, 4))
    shapes = (*arcs, (4, 3), (4, 3), (3,), (N_DISTANCES, 3), (3, 4, 4))
    return ArcScores(*(rng.normal(size=shape) for shape in shapes))


@pytest.mark.parametrize("column", [0, 1, 3])
def test_log_odds_are_those_of_the_product_of_probabilities(column):
    scores = random_scores()
    value, _ = ArcOdds(WORDS, 1, column, 2, np.zeros(0, int)).measure(scores)
    arcs, _ = score_arcs(scores, Bucket(np.zeros(1, int), WORDS[None], np.array([3])))
    head = -1 if column == 0 else WORDS[column - 1]
    labels, _ = score_labels(scores, WORDS[[1]], np.array([head]))
    p = softmax(arcs[0])[1, column] * softmax(labels)[0, 2]
    assert value == pytest.approx(np.log(p / (1 - p)), abs=1e-9)


def test_gradient_is_that_of_finite_differences():
    scores = random_scores()
    odds = ArcOdds(WORDS, 1, 3, 2, np.array([0]))
    assert_finite_differences(odds, scores)


def test_the_only_word_of_a_sentence_has_its_label_open():
    """There is no other head; if the root has one label too, the logit stands for what is certain."""
    scores = random_scores()
    alone = np.array([2])
    odds = ArcOdds(alone, 0, 0, 2, np.zeros(0, int))
    value, _ = odds.measure(scores)
    labels, _ = score_labels(scores, alone, np.array([-1]))
    p = softmax(labels)[0, 2]
    assert value == pytest.approx(np.log(p / (1 - p)), abs=1e-9)
    assert_finite_differences(odds, scores)
    certain = ArcOdds(alone, 0, 0, 2, np.array([0, 1]))
    arcs, _ = score_arcs(scores, Bucket(np.zeros(1, int), alone[None], np.array([1])))
    assert certain.measure(scores)[0] == pytest.approx(arcs[0, 0, 0])
    assert_finite_differences(certain, scores)


@pytest.mark.parametrize(("one", "other"), [(0.3, -1.2), (50.0, 60.0), (-50.0, 3.0)])
def test_odds_of_both_stay_exact(one, other):
    p, q = 1 / (1 + np.exp(-one)), 1 / (1 + np.exp(-other))
    value, *_ = odds_of_both(one, other)
    not_both = 1 / (1 + np.exp(one)) + p / (1 + np.exp(other))
    assert value == pytest.approx(np.log(p * q) - np.log(not_both), rel=1e-9)
