"""The small matrix that says how the losses' gradients lie to each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from thinc.backends import get_array_ops

from ..protocols.arrays import ArrayT

# Of m gradients, the inner products of each two, (m, m), symmetric; on the CPU and in float64.
GramianT = NDArray[np.float64]
# A number for each gradient, (m,).
PerLossT = NDArray[np.float64]


def gramian_of(gradients: Sequence[ArrayT]) -> GramianT:
    """The Gramian of gradients of any one shape, from the CPU or a GPU. The products are in float64: squares of small
    gradients would be 0 in float32, those of large ones infinite, and parallel gradients would not look it.
    """
    ops = get_array_ops(gradients[0])
    rows = ops.xp.stack([gradient.reshape(-1) for gradient in gradients]).astype("float64")
    gramian: GramianT = ops.to_numpy(rows @ rows.T)
    return gramian
