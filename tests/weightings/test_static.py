"""The static weighting, computed by hand for two heads."""

import math

import pytest

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.static import make_static_v1


def test_two_heads_by_hand():
    weighting = make_static_v1({"a": 0.5})
    weighting.bind(["a", "b"])
    assert weighting.weights({"a": 4.0, "b": 2.0}, Step(0)) == {"a": 0.5, "b": 1.0}
    assert weighting.weights({"b": 2.0}, Step(1)) == {"b": 1.0}
    assert weighting.needs == "sum"
    assert weighting.model is None


@pytest.mark.parametrize(
    ("weights", "parts"),
    [
        ({"a": 0.0, "b": 0.0}, "'a', 'b'.*are 0.*above 0"),
        ({"a": -1.0}, "'a': -1.0"),
        ({"a": math.inf}, "'a': inf"),
        ({"b": math.nan}, "'b': nan"),
    ],
)
def test_weights_that_make_no_sense(weights, parts):
    with pytest.raises(ValueError, match=parts):
        make_static_v1(weights).bind(["a", "b"])
