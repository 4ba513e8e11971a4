"""Gradients of what an explanation measures, against finite differences."""

from typing import Any

import numpy as np
import pytest


def assert_finite_differences(odds: Any, scores: Any) -> None:
    """Compare the gradient of each potential of the scores with what a small step in it changes."""
    _, gradient = odds.measure(scores)
    for index, (part, d_part) in enumerate(zip(scores.potentials, gradient.potentials, strict=True)):
        for place in np.ndindex(part.shape):
            values = []
            for step in (1e-5, -1e-5):
                parts = [array.copy() for array in scores.potentials]
                parts[index][place] += step
                values.append(odds.measure(scores.with_potentials(parts))[0])
            assert d_part[place] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)
