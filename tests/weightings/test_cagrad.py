"""The direction in a ball around the mean that is best for the worst loss: by hand, and by duality."""

import numpy as np
import pytest
from balancing import merge, random_gramians

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.cagrad import make_cagrad_v1


def test_two_heads_by_hand():
    """From the mean (2, 0.5) straight along b's gradient, which gains least, by half of |(2, 0.5)|."""
    found = merge(make_cagrad_v1(c=0.5), {"a": [4.0, 0.0], "b": [0.0, 1.0]})
    assert found == pytest.approx([4.0, 1.0 + np.sqrt(4.25)])


def test_two_equals_by_hand():
    """Both gain as much: the mean gets longer."""
    assert merge(make_cagrad_v1(c=0.4), {"a": [1.0, 0.0], "b": [0.0, 1.0]}) == pytest.approx([1.4, 1.4])


def test_three_heads_by_hand():
    """The mean is (4, 1, 8) / 3, of norm 3; d is 1.5 further along b's gradient."""
    gradients = {"a": [4.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "c": [0.0, 0.0, 8.0]}
    assert merge(make_cagrad_v1(c=0.5), gradients) == pytest.approx([4.0, 5.5, 8.0])


def test_weights_move_the_mean():
    """Weights of 1 and 3: the mean is (1, 0.75), of norm 1.25; d is 0.5 further along b's gradient."""
    found = merge(make_cagrad_v1({"b": 3.0}, c=0.4), {"a": [4.0, 0.0], "b": [0.0, 1.0]})
    assert found == pytest.approx([4.0, 5.0])


def test_without_a_radius_it_is_the_sum():
    assert merge(make_cagrad_v1(c=0.0), {"a": [1.0, -3.0], "b": [-1.0, 1.0]}) == pytest.approx([0.0, -2.0])


@pytest.mark.parametrize("c", [0.2, 0.5, 0.9])
def test_no_direction_in_the_ball_is_better(c):
    """The least of what any combination of the gradients allows is an upper bound, and it is reached."""
    for gramian in random_gramians():
        gramian = gramian / gramian.diagonal().mean()
        mean = np.full(len(gramian), 1 / len(gramian))
        direction = make_cagrad_v1(c=c).solve(gramian, np.ones(len(gramian)), Step(0)) / len(gramian)
        radius = c * np.sqrt(mean @ gramian @ mean)
        step = direction - mean
        assert np.sqrt(max(step @ gramian @ step, 0)) <= radius * (1 + 1e-6)
        shares = step / step.sum()
        bound = shares @ gramian @ mean + radius * np.sqrt(max(shares @ gramian @ shares, 0))
        assert (gramian @ direction).min() == pytest.approx(bound, abs=1e-5)
        assert mean @ gramian @ direction >= -1e-9


@pytest.mark.parametrize("c", [-0.1, 1.0, float("nan")])
def test_a_radius_that_makes_no_sense(c):
    with pytest.raises(ValueError, match=r"CAGrad\.v1: c is .*at least 0 and less than 1"):
        make_cagrad_v1(c=c)
