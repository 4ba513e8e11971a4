"""Types of arrays, and of what the parts pass to each other."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Ragged

# a numpy or cupy array (thinc's own types leave out much of what these can do), or a tensor of torch in its kernels
ArrayT = Any
# numpy arrays, where the CPU does the work
IntsT = NDArray[np.int64]
FloatsT = NDArray[np.float64]
BoolsT = NDArray[np.bool_]
# docs -> the token vectors of each doc, (n_tokens, width), and its backprop
Tok2VecT = Model[list[Doc], list[Floats2d]]
Tok2VecBackpropT = Callable[[list[Floats2d]], list[Doc]]
# docs -> token vectors of all docs end to end, (n_tokens, width), with one length a doc
EncoderT = Model[list[Doc], Ragged]
# what a head's network returns: an array, or a dataclass of arrays; it can be scaled by a float and added to its like
ScoresT = Any
# what a head's `decode` returns and its `set_annotations` takes
AnnotationsT = Any
# what a head's `prepare` returns and its network finds in `HeadInput.prepared`
PreparedT = Any
# per token of the batch a distribution over another head's labels, (n_tokens, n_labels)
ConditionT = Floats2d


def is_plain(array: ArrayT) -> bool:
    """Whether an array is one of numpy, float32 and contiguous, so that torch can update it in place."""
    return type(array) is np.ndarray and array.dtype == "float32" and bool(array.flags.c_contiguous)
