"""The fast encoder as `python -m spacy mtl export-onnx` writes it: ONNX graphs, run by onnxruntime."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from ..encoders.hash_embed_cnn.forward import Part, split_docs
from ..layers.ragged_rows import bounds
from ..protocols.arrays import Tok2VecT
from ..threads.parallel import run_parts
from .runtime import OnnxState, import_onnxruntime


def make_onnx_encoder_v1(width: int) -> Tok2VecT:
    """Build an encoder that predicts from ONNX graphs through onnxruntime, without torch. It cannot be trained. The
    command `export-onnx` writes pipelines with it; the graphs are loaded with the pipeline's weights. Needs the extra
    `onnx`.

    width (int): Width of the token vectors.
    """
    # so that spacy.load says what is missing, not the first text
    import_onnxruntime()
    attrs = {"graphs": {}, "state": OnnxState()}
    return Model("onnx_encoder", forward, init=init, dims={"nO": width}, attrs=attrs)


def forward(
    model: Tok2VecT, docs: Sequence[Doc], is_train: bool
) -> tuple[list[Floats2d], Callable[[list[Floats2d]], list[Doc]]]:
    """RETURNS: For each doc its token vectors (n_tokens, width), slices of one array, and an empty backprop."""
    if is_train:
        raise ValueError(
            "OnnxEncoder: it can't be trained; train the pipeline that it was exported from and export that again, or "
            "name its pipe in both training.frozen_components and training.annotating_components"
        )
    ends = bounds([len(doc) for doc in docs]).tolist()
    tokvecs: Any = np.empty((ends[-1], model.get_dim("nO")), dtype="float32")
    if ends[-1]:
        encode_into(model, split_docs(docs, ends, side_by_side=True), tokvecs)
    tokvecs = model.ops.asarray2f(tokvecs)
    return [tokvecs[start:end] for start, end in pairwise(ends)], lambda d_tokvecs: []


def encode_into(model: Tok2VecT, parts: list[Part], tokvecs: Any) -> None:
    """Fill the vectors of all tokens of the batch, (n_tokens, width)."""
    graphs = model.attrs["graphs"]
    if not graphs:
        raise ValueError(
            "OnnxEncoder: it has no graphs; it can't be made from a config alone, so load a pipeline that "
            "`python -m spacy mtl export-onnx` wrote, with spacy.load or as the source of a component"
        )
    network = model.attrs["state"].read(graphs)

    def encode_part(part: Part) -> None:
        tokvecs[part.tokens] = network.encode(part.docs)

    run_parts(encode_part, parts)


def init(model: Tok2VecT, X: Any = None, Y: Any = None) -> None:
    """Refuse: there are no weights to draw."""
    raise ValueError(
        "OnnxEncoder: it can't be initialised or trained; train the pipeline that it was exported from and export that "
        "again, or take its pipe over with source = and name it in training.frozen_components"
    )
