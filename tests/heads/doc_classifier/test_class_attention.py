"""Classes from scores of tokens: sums over docs and around tokens equal plain loops."""

import numpy as np
import pytest

from spacy_mtl.heads.doc_classifier.class_attention import WINDOWS, pool, pool_near

LENGTHS = np.array([3, 0, 70, 1])


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    weights = np.exp(rng.normal(size=(LENGTHS.sum(), 4)) * 3).astype("f")
    return weights, weights * rng.normal(size=weights.shape).astype("f")


def docs_of(rows):
    return np.split(rows, np.cumsum(LENGTHS)[:-1])


def test_a_doc_has_the_weighted_mean_of_its_tokens(arrays):
    weights, weighted = arrays
    found, _ = pool(weights, weighted, LENGTHS)
    pairs = zip(docs_of(weights), docs_of(weighted), strict=True)
    expected = [part.sum(0) / w.sum(0) if len(w) else np.zeros(4) for w, part in pairs]
    assert found == pytest.approx(np.array(expected), rel=1e-5)


def near_loop(weights, weighted):
    result = np.zeros_like(weights)
    for i in range(len(weights)):
        total = part = 0.0
        for j in range(len(weights)):
            factor = sum(factor for width, factor in WINDOWS if abs(i - j) <= width)
            total, part = total + factor * weights[j], part + factor * weighted[j]
        result[i] = part / total
    return result


def test_a_token_has_the_weighted_mean_around_it_in_its_doc(arrays):
    weights, weighted = arrays
    found, _ = pool_near(weights, weighted, LENGTHS)
    expected = np.concatenate([near_loop(*pair) for pair in zip(docs_of(weights), docs_of(weighted), strict=True)])
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("function", [pool, pool_near])
def test_backprop_equals_finite_differences(arrays, function):
    weights, weighted = (array.astype("d") for array in arrays)
    rng = np.random.default_rng(1)
    out, backprop = function(weights, weighted, LENGTHS)
    d_out = rng.normal(size=out.shape)
    for which, gradient in enumerate(backprop(d_out)):
        direction = rng.normal(size=weights.shape) * np.abs(weights)
        ends = []
        for sign in (1, -1):
            moved = [weights, weighted]
            moved[which] = moved[which] + sign * 1e-6 * direction
            ends.append((function(*moved, LENGTHS)[0] * d_out).sum())
        assert (gradient * direction).sum() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-3)
