"""A list of one slice for each doc that remembers the array it was cut from, so that joining the slices copies nothing.

`encoders/transformer` and `network/` pass token vectors and their gradients this way.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from thinc.api import Model, Ops
from thinc.types import Floats2d, Ragged

from ..protocols.arrays import ArrayT

RaggedT = Model[list[Floats2d], Ragged]


class Slices(list[ArrayT]):
    """The slices of an array, one for each doc.

    whole (Floats2d): The array, (n_tokens, width).
    lengths (Sequence[int]): Number of tokens of each doc.
    """

    def __init__(self, whole: ArrayT, lengths: Sequence[int]) -> None:
        super().__init__(whole[start:end] for start, end in pairwise(accumulate(lengths, initial=0)))
        self.whole = whole


def join(arrays: list[Floats2d], ops: Ops) -> Floats2d:
    """Join the arrays of all docs end to end, (n_tokens, width). `Slices` are not copied."""
    whole: Floats2d = arrays.whole if isinstance(arrays, Slices) else ops.flatten(arrays)
    return whole


def slices2ragged() -> RaggedT:
    """Build the layer: thinc's `list2ragged`, but without copies for `Slices`."""
    return Model("list2ragged", forward)


def forward(
    model: RaggedT, arrays: list[Floats2d], is_train: bool
) -> tuple[Ragged, Callable[[Ragged], list[Floats2d]]]:
    """RETURNS: The arrays end to end (n_tokens, width), and backprop: dY -> its slices."""
    lengths = [len(array) for array in arrays]

    def backprop(dY: Ragged) -> list[Floats2d]:
        return Slices(dY.dataXd, lengths)

    return Ragged(join(arrays, model.ops), model.ops.asarray1i(lengths)), backprop
