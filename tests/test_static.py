"""The static weighting, two heads by hand."""

import numpy as np

from spacy_mtl.weightings.static import make_static_v1


def test_two_heads_by_hand():
    weighting = make_static_v1({"a": 0.5})
    weighting.bind(["a", "b"])
    assert weighting.weights({"a": 4.0, "b": 2.0}) == {"a": 0.5, "b": 1.0}
    assert weighting.weights({"b": 2.0}) == {"b": 1.0}
    merged = weighting.merge({"a": np.array([[1.0, 2.0]]), "b": np.array([[10.0, -2.0]])})
    assert merged.tolist() == [[11.0, 0.0]]
    assert weighting.model is None
