"""The encoder in pipelines that `python -m spacy mtl export-onnx` writes: ONNX graphs that onnxruntime runs."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from ..encoders.hash_embed_cnn.forward import Part, split_docs
from ..encoders.hash_embed_cnn.piece_layer import PIECES
from ..encoders.hash_embed_cnn.piece_vectors import PieceVectors
from ..extras import EXTRA
from ..layers.ragged_rows import bounds
from ..protocols.arrays import Tok2VecT
from ..threads.parallel import run_parts
from .runtime import OnnxState, import_onnxruntime


def make_onnx_encoder_v1(width: int) -> Tok2VecT:
    """Build an encoder that computes token vectors, `(n_tokens, width)`, from ONNX graphs with onnxruntime, without
    torch. It cannot be trained. The command `export-onnx` writes pipelines with it, and the graphs are loaded with the
    pipeline's weights. Needs the extra `onnx`.

    width (int): Width of the token vectors.
    """
    # Imported here so that spacy.load fails if it is missing, not the first prediction.
    import_onnxruntime()
    attrs = {"graphs": {}, PIECES: PieceVectors(), "state": OnnxState(), EXTRA: "onnx"}
    return Model("onnx_encoder", forward, init=init, dims={"nO": width}, attrs=attrs)


def forward(
    model: Tok2VecT, docs: Sequence[Doc], is_train: bool
) -> tuple[list[Floats2d], Callable[[list[Floats2d]], list[Doc]]]:
    """RETURNS: The token vectors of each doc (n_tokens, width), as slices of one array, and an empty backprop. Raises a
    ValueError in training.
    """
    if is_train:
        raise ValueError(
            "OnnxEncoder: it can't be trained; train the pipeline that it was exported from and export it again, or "
            "name its pipe in both training.frozen_components and training.annotating_components"
        )
    ends = bounds([len(doc) for doc in docs]).tolist()
    tokvecs: Any = np.empty((ends[-1], model.get_dim("nO")), dtype="float32")
    if ends[-1]:
        encode_into(model, split_docs(docs, ends, side_by_side=True), tokvecs)
    tokvecs = model.ops.asarray2f(tokvecs)
    return [tokvecs[start:end] for start, end in pairwise(ends)], lambda d_tokvecs: []


def encode_into(model: Tok2VecT, parts: list[Part], tokvecs: Any) -> None:
    """Compute the vectors of all tokens of a batch into an array.

    model (Model): The encoder.
    parts (list[Part]): The parts of the batch, which threads compute side by side.
    tokvecs (Floats2d): The array to fill, (n_tokens, width).
    """
    graphs = model.attrs["graphs"]
    if not graphs:
        raise ValueError(
            "OnnxEncoder: it has no graphs, since it can't be made from a config alone; load a pipeline that "
            "`python -m spacy mtl export-onnx` wrote, with spacy.load or as the source of a component"
        )
    network = model.attrs["state"].read(graphs)

    def encode_part(part: Part) -> None:
        tokvecs[part.tokens] = network.encode(part.docs, model.attrs[PIECES])

    run_parts(encode_part, parts)


def init(model: Tok2VecT, X: Any = None, Y: Any = None) -> None:
    """Raise a ValueError: there are no weights to initialise."""
    raise ValueError(
        "OnnxEncoder: it can't be initialised or trained; train the pipeline that it was exported from and export it "
        "again, or copy its pipe with source = and name it in training.frozen_components"
    )
