"""The layer of the encoder that projects the vectors of `PieceVectors`, in the place of spaCy's `StaticVectors`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spacy.attrs import ORTH
from spacy.tokens import Doc
from spacy.util import replace_model_node
from thinc.api import Model, glorot_uniform_init
from thinc.types import Ragged

from ...protocols.arrays import Tok2VecT
from .piece_vectors import PieceVectors, vocabs_of

# The name of the layer, and of the attribute that holds its vectors.
PIECES = "piece_vectors"


def use_piece_vectors(model: Tok2VecT, path: str) -> None:
    """Replace the layer of static vectors by one that looks up the vectors of pieces.

    model (Model): An encoder with static vectors.
    path (str): Folder with the vectors, which is read at initialisation.
    """
    (static,) = [node for node in model.walk() if node.name == "static_vectors"]
    replace_model_node(model, static, make_piece_layer(static.get_dim("nO"), path))


def make_piece_layer(width: int, path: str) -> Model[list[Doc], Ragged]:
    """Build the layer from docs to projected vectors, (n_tokens, width)."""
    return Model(
        PIECES,
        forward,
        init=init,
        params={"W": None},
        dims={"nO": width, "nM": None},
        attrs={"path": path, "dropout_rate": 0.0, PIECES: PieceVectors()},
    )


def init(model: Model[list[Doc], Ragged], X: Any = None, Y: Any = None) -> None:
    """Read the vectors if there are none yet, and set the projection to random weights."""
    if not model.attrs[PIECES]:
        model.attrs[PIECES] = PieceVectors.from_disk(Path(model.attrs["path"]))
    model.set_dim("nM", model.attrs[PIECES].width, force=True)
    model.set_param("W", glorot_uniform_init(model.ops, (model.get_dim("nO"), model.get_dim("nM"))))


def forward(
    model: Model[list[Doc], Ragged], docs: Sequence[Doc], is_train: bool
) -> tuple[Ragged, Callable[[Ragged], list[Doc]]]:
    """RETURNS: The projected vectors of all tokens, and backprop to the projection. The encoder computes the same for
    distinct words; at initialisation the layers behind this one learn their sizes from it.
    """
    keys = np.concatenate([doc.to_array(ORTH).reshape(-1) for doc in docs])
    V: Any = model.ops.asarray2f(model.attrs[PIECES].read(keys, vocabs_of(docs)))
    W: Any = model.get_param("W")
    Y = model.ops.gemm(V, W, trans2=True)

    def backprop(d_tokens: Ragged) -> list[Doc]:
        dY: Any = d_tokens.data
        model.inc_grad("W", model.ops.gemm(dY, V, trans1=True))
        return []

    return Ragged(Y, model.ops.asarray1i([len(doc) for doc in docs])), backprop
