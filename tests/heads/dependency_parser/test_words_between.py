"""What lies between two words, against a plain loop and finite differences."""

import numpy as np
import pytest

from spacy_mtl.heads.dependency_parser.words_between import score_between


def arguments(rng, n_words, *, n_sentences=2, n_kinds=3):
    widths = (n_kinds, 2 * n_kinds, 2 * n_kinds)
    return [rng.normal(size=(n_sentences, n_words, width)) for width in widths]


def plain(amounts, dependents, heads):
    """One arc at a time; the diagonal is left 0."""
    n_sentences, n_words, n_kinds = amounts.shape
    scores = np.zeros((n_sentences, n_words, n_words))
    for sentence in range(n_sentences):
        for dependent in range(n_words):
            for head in range(n_words):
                if head == dependent:
                    continue
                between = amounts[sentence, min(head, dependent) + 1 : max(head, dependent)].sum(axis=0)
                side = slice(0, n_kinds) if head > dependent else slice(n_kinds, None)
                weights = dependents[sentence, dependent, side] + heads[sentence, head, side]
                scores[sentence, dependent, head] = weights @ between
    return scores


def without_diagonal(scores):
    return scores * (1 - np.eye(scores.shape[1]))


@pytest.mark.parametrize("n_words", [1, 2, 3, 9])
def test_equals_a_plain_loop(n_words):
    parts = arguments(np.random.default_rng(n_words), n_words)
    scores, _ = score_between(*parts)
    assert np.allclose(without_diagonal(scores), plain(*parts))


def test_gradient_equals_finite_differences():
    rng = np.random.default_rng(0)
    parts = arguments(rng, 6)
    d_scores = without_diagonal(rng.normal(size=(2, 6, 6)))
    _, backprop = score_between(*parts)
    for index, gradient in enumerate(backprop(d_scores)):
        direction = rng.normal(size=parts[index].shape)
        sides = []
        for sign in (1, -1):
            moved = list(parts)
            moved[index] = moved[index] + sign * 1e-5 * direction
            sides.append((score_between(*moved)[0] * d_scores).sum())
        assert (gradient * direction).sum() == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-6)
