"""The number of classes of a doc: its loss, and classes that agree with it."""

from itertools import chain, combinations

import numpy as np
import pytest

from spacy_mtl.heads.doc_classifier.class_counts import N_COUNTS, count_loss, shift_to_count
from spacy_mtl.layers.softmax import log_softmax


@pytest.mark.parametrize("n_labels", [1, 3, 10])
def test_the_classes_above_zero_are_the_best_of_all_sets(n_labels):
    rng = np.random.default_rng(0)
    logits, counts = rng.normal(size=(40, n_labels)) * 2, rng.normal(size=(40, N_COUNTS)) * 3
    shifted = shift_to_count(logits, counts)
    for row, moved, count in zip(logits, shifted, log_softmax(counts), strict=True):
        sets = chain(*(combinations(range(n_labels), size) for size in range(n_labels + 1)))
        best = max(sets, key=lambda found: row[list(found)].sum() + count[min(len(found), N_COUNTS - 1)])
        assert set(np.flatnonzero(moved > 0)) == set(best)
        assert np.ptp(row - moved) < 1e-12
    stay = (shifted == logits).all(axis=1)
    assert stay.any()
    assert (((logits > 0).sum(axis=1) == (shifted > 0).sum(axis=1)) == stay).all()


def test_loss_and_gradient_of_the_count():
    rng = np.random.default_rng(1)
    counts = rng.normal(size=(4, N_COUNTS))
    gold = np.zeros((4, 12))
    gold[0, :2], gold[1, :12], gold[2, 0] = 1.0, 1.0, np.nan
    losses, gradient = count_loss(gold, counts)
    table = -log_softmax(counts)
    assert losses == pytest.approx([table[0, 2], table[1, -1], 0.0, table[3, 0]])
    assert not gradient[2].any()
    for place in np.ndindex(counts.shape):
        ends = []
        for sign in (1, -1):
            moved = counts.copy()
            moved[place] += sign * 1e-5
            ends.append(count_loss(gold, moved)[0].sum())
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-6)
