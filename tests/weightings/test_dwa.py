"""Weights by how fast losses fall: by hand."""

import math

import pytest

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.dwa import make_dwa_v1

E = math.e


def run(weighting, *losses):
    """The weights of the last step."""
    weighting.bind(["a", "b", "c"])
    return [weighting.weights(one, Step(number)) for number, one in enumerate(losses)][-1]


def test_two_heads_by_hand():
    """a has fallen to a half, b has stayed."""
    steps = [{"a": 4.0, "b": 1.0}, {"a": 2.0, "b": 1.0}, {"a": 9.0, "b": 9.0}]
    half = math.sqrt(E)
    found = run(make_dwa_v1({"b": 3.0}, temperature=1.0, window=1), *steps)
    assert found == pytest.approx({"a": 2 * half / (half + E), "b": 3 * 2 * E / (half + E)})
    assert run(make_dwa_v1(temperature=1.0, window=1), *steps[:2]) == {"a": 1.0, "b": 1.0}


def test_three_heads_by_hand():
    """Means of windows of two steps: a 4 to 2, b 1 to 1, c 1 to 2; a had no gold in one step."""
    steps = [{"a": 4.0, "b": 0.5, "c": 1.0}, {"b": 1.5, "c": 1.0}, {"a": 1.0, "b": 1.0, "c": 3.0}]
    steps += [{"a": 3.0, "b": 1.0, "c": 1.0}, dict.fromkeys("abc", 1.0)]
    exps = {name: math.exp(rate / 2) for name, rate in zip("abc", (0.5, 1.0, 2.0), strict=True)}
    expected = {name: 3 * value / sum(exps.values()) for name, value in exps.items()}
    assert run(make_dwa_v1(window=2), *steps) == pytest.approx(expected)


def test_a_loss_of_zero_is_no_division():
    found = run(make_dwa_v1(window=1), *[{"a": 0.0, "b": 1.0}] * 2, {"a": 1.0, "b": 1e9}, {"a": 1.0, "b": 1.0})
    assert all(math.isfinite(value) for value in found.values())


@pytest.mark.parametrize(
    ("cfg", "parts"), [({"temperature": 0.0}, "temperature is 0.0"), ({"window": 0}, "window is 0")]
)
def test_settings_that_make_no_sense(cfg, parts):
    with pytest.raises(ValueError, match=rf"DWA\.v1: {parts}; it must be"):
        make_dwa_v1(**cfg)
