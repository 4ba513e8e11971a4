"""Encoders that offer the embeddings from which they compute their token vectors.

Integrated gradients and gradient times input need them. An encoder that offers its embeddings has a function of the
type `EmbedT` among the attributes of its model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from .arrays import ArrayT, IntsT, Tok2VecT

# name of the attribute of the encoder's model
EMBED = "embed_docs"
# embeddings -> token vectors of all docs end to end (n_tokens, width), and backprop: their gradient -> that of the
# embeddings
EncodeT = Callable[[NDArray[np.float32]], tuple[ArrayT, Callable[[ArrayT], NDArray[np.float32]]]]


@dataclass(frozen=True)
class Embedded:
    """The embeddings of a batch. A token may have one row, several (word pieces), or none.

    vectors (Floats2d): In main memory, (n_rows, width).
    baseline (Floats2d): What stands for the absence of each row, (n_rows, width). Rows that belong to no token, such as
        those of special pieces, are their own baseline.
    owners (Ints1d): The token of each row, counted through all docs; -1 for rows that belong to none, (n_rows,).
    encode (EncodeT): Computes the token vectors as in prediction. Neither it nor its backprop changes the encoder: no
        gradient is stored, no cache is read or filled.
    """

    vectors: NDArray[np.float32]
    baseline: NDArray[np.float32]
    owners: IntsT
    encode: EncodeT


# the encoder's model, and docs of which at least one has tokens -> their embeddings, None if they can't be replaced
EmbedT = Callable[[Tok2VecT, Sequence[Doc]], Embedded | None]
