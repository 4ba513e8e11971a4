"""The layer `dropout`, and the masks that it shares with the encoder."""

import numpy as np
import pytest
from thinc.api import fix_random_seed, set_dropout_rate

from spacy_mtl.layers.dropout import draw_mask, dropout, make_generator


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.9])
def test_share_of_zeros_and_mean(rate):
    mask = draw_mask(make_generator(0), (1001, 333), rate)
    deviation = np.sqrt(rate * (1 - rate) / mask.size)
    assert (mask == 0).mean() == pytest.approx(rate, abs=5 * deviation)
    assert mask.mean(dtype="d") == pytest.approx(1.0, abs=5 * deviation / (1 - rate))
    assert len(np.unique(mask)) == 2


def test_nothing_is_left_at_rate_one():
    assert not draw_mask(make_generator(0), (3, 5), 1.0).any()


def test_rows_and_columns_are_independent():
    zeros = draw_mask(make_generator(3), (4000, 64), 0.5) == 0
    correlation = np.corrcoef(zeros.T.astype("d"))
    assert abs(correlation - np.eye(64)).max() < 6 / 4000**0.5


def test_layer():
    layer = dropout()
    X = np.ones((50, 40), dtype="f")
    assert layer.begin_update(X)[0] is X
    set_dropout_rate(layer, 0.3)
    assert layer.predict(X) is X
    fix_random_seed(0)
    Y, backprop = layer.begin_update(X)
    assert 0.2 < (Y == 0).mean() < 0.4
    np.testing.assert_array_equal(backprop(X), Y)
    fix_random_seed(0)
    np.testing.assert_array_equal(layer.begin_update(X)[0], Y)
