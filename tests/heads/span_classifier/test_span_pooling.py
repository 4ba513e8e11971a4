"""Vectors of spans, against a loop over spans and tokens."""

import numpy as np
import pytest

from spacy_mtl.heads.span_classifier.span_pooling import span_pooling

STARTS, ENDS = np.array([0, 0, 1, 1, 4, 6, 2]), np.array([1, 3, 2, 7, 5, 7, 6])
REDUCERS = {
    "mean": lambda rows: rows.mean(axis=0),
    "max": lambda rows: rows.max(axis=0),
    "first": lambda rows: rows[0],
    "last": lambda rows: rows[-1],
}


@pytest.mark.parametrize("kinds", [["mean"], ["max"], ["first"], ["last"], ["mean", "max", "first", "last"]])
def test_pooling_equals_a_double_loop(kinds):
    rng = np.random.default_rng(0)
    tokvecs = rng.normal(size=(7, 5)).astype("f")
    found, backprop = span_pooling(kinds)((tokvecs, STARTS, ENDS), True)
    pairs = list(zip(STARTS, ENDS, strict=True))
    expected = [np.concatenate([REDUCERS[kind](tokvecs[start:end]) for kind in kinds]) for start, end in pairs]
    assert found == pytest.approx(np.array(expected), abs=1e-6)
    dY = rng.normal(size=found.shape).astype("f")
    gradient = backprop(dY)
    for place in np.ndindex(tokvecs.shape):
        ends = []
        for sign in (1, -1):
            moved = tokvecs.astype("d")
            moved[place] += sign * 1e-4
            rows = [np.concatenate([REDUCERS[kind](moved[start:end]) for kind in kinds]) for start, end in pairs]
            ends.append((np.array(rows) * dY).sum())
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-4, abs=1e-3)


def test_no_spans():
    tokvecs = np.ones((3, 2), dtype="f")
    nothing = np.zeros(0, dtype="int64")
    found, backprop = span_pooling(["mean", "max", "first", "last"])((tokvecs, nothing, nothing), True)
    assert found.shape == (0, 8)
    assert not backprop(found).any()


def test_tokens_outside_of_all_spans_that_have_a_gradient_get_exactly_none():
    tokvecs = np.random.default_rng(0).normal(size=(7, 3)).astype("f")
    found, backprop = span_pooling(["mean", "max"])((tokvecs, STARTS, ENDS), True)
    dY = np.zeros_like(found)
    dY[1] = 0.1
    assert backprop(dY)[:3].any()
    assert not backprop(dY)[3:].any()
