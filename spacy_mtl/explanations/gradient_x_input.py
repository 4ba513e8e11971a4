"""Gradient times input: one forward and one backward pass."""

import numpy as np

from .target_function import Attribution, TargetFunction


def gradient_x_input(function: TargetFunction) -> Attribution:
    """Multiply the gradient at the embeddings by their difference from the baseline: what the value would lose without
    a token if it were linear.
    """
    embedded = function.embedded("gradient_x_input")
    value, gradient = function.differentiate(embedded, embedded.vectors)
    rows = (gradient.astype(np.float64) * (embedded.vectors - embedded.baseline)).sum(axis=1)
    return Attribution(function.by_token(embedded, rows), value)
