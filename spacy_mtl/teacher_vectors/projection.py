"""Principal component analysis: vectors of a teacher in fewer columns."""

from typing import NamedTuple

import numpy as np

from ..protocols.arrays import ArrayT, FloatsT


class Projection(NamedTuple):
    """The columns with the largest variance. One factor for all of them makes the mean square of a number 1, to which
    the weights of the encoder that reads the vectors are initialised; the columns keep their proportions.

    center (Floats1d): Mean of the vectors, (n_in,).
    components (Floats2d): The columns, scaled by the factor, (n_in, width).
    kept (float): Share of the variance that is kept, in [0, 1].
    """

    center: FloatsT
    components: FloatsT
    kept: float

    def __call__(self, vectors: ArrayT) -> ArrayT:
        """Project vectors, (n, n_in) -> (n, width)."""
        return ((vectors - self.center) @ self.components).astype("float32")


def fit_projection(vectors: ArrayT, width: int) -> Projection:
    """Find the principal components, each with its largest number positive, so that the result is always the same.

    vectors (Floats2d): The vectors, one a word, (n_words, n_in).
    width (int): Number of columns.
    RAISES ValueError: The teacher has fewer columns, or there are too few words.
    """
    n_words, n_in = vectors.shape
    if width > n_in:
        raise ValueError(f"--width is {width}, but the teacher's vectors have {n_in} columns; give at most that many")
    if n_words <= width:
        raise ValueError(f"--width is {width}, which needs more than {width} words, but there are {n_words}; lower it")
    center = vectors.mean(axis=0, dtype="float64")
    centered = vectors - center
    variances, directions = np.linalg.eigh(centered.T @ centered / n_words)
    kept, components = variances[::-1][:width], directions[:, ::-1][:, :width]
    signs = np.sign(components[np.abs(components).argmax(axis=0), np.arange(width)])
    return Projection(center, components * signs / np.sqrt(kept.mean()), float(kept.sum() / variances.sum()))
