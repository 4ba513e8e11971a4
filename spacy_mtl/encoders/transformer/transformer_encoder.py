"""A pretrained transformer as an encoder, for a `tok2vec` pipe with listeners or inside `multitask`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model, torch2xp, xp2torch
from thinc.compat import torch
from thinc.types import Floats2d

from ...extras import EXTRA
from ...layers.last_layer import LAST_LAYER, LastLayer
from ...layers.slices import Slices, join
from ...protocols.arrays import Tok2VecBackpropT, Tok2VecT
from ...protocols.embeddings import EMBED
from .piece_batches import WindowBatch
from .piece_plan import plan_pieces
from .word_pieces import Pieces

POOLINGS = ("mean", "first", "last", "max")
LAYERS = ("last", "all")


def make_transformer_encoder_v1(
    name: str,
    pooling: str = "mean",
    layers: str = "last",
    max_batch: int = 2048,
    overlap: int = 64,
    mixed_precision: bool = False,
    compiled: bool = False,
) -> Tok2VecT:
    """Build an encoder that computes word vectors, `(n_words, width)`, with a pretrained transformer. Needs the extra
    `transformers` and a model with a fast tokenizer.

    Each word is split into pieces by itself. Docs are sorted by length and cut into batches with little padding; BERT,
    ELECTRA, RoBERTa, XLM-R and CamemBERT read several docs in one row (sequence packing). Docs longer than the
    transformer can read are read in overlapping windows. If a batch does not fit into memory, an error names it, and
    the weights stay unchanged.

    name (str): A Hugging Face model: a folder, or a name on the hub. It is loaded at initialisation and saved with the
        pipeline.
    pooling (str): How to combine the vectors of a word's pieces: `"mean"`, `"first"`, `"last"` or `"max"`. A word
        without pieces, such as white space, has a trained vector of its own.
    layers (str): `"last"` for the vectors of the last layer. `"all"` concatenates the embedding and all layers,
        `(n_layers + 1) * width` columns, for a sharing layer such as `spacy_mtl.LayerMix.v1`.
    max_batch (int): Maximum number of pieces read at once, padding included. Lower it to save memory.
    overlap (int): Number of pieces that neighbouring windows of a long doc share. A word takes its vector from the
        window that holds most of its neighbours.
    mixed_precision (bool): Compute in 16 bits where that is safe. Training with it needs a GPU.
    compiled (bool): Use `torch.compile` on a GPU. Weightings can then compare gradients only at the shared vectors.

    Weightings with `at = "last_layer"` compare the gradients of the transformer's last linear layer: the output matrix
    of its last block, and the bias. With `layers = "all"` that leaves out what flows back to the layers before it.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"TransformerEncoder: pooling is {pooling!r}, expected one of {list(POOLINGS)}")
    if layers not in LAYERS:
        raise ValueError(f"TransformerEncoder: layers is {layers!r}, expected one of {list(LAYERS)}")
    if max_batch < 1 or overlap < 0:
        raise ValueError(
            f"TransformerEncoder: max_batch is {max_batch} and overlap {overlap}; expected at least 1 and at least 0"
        )
    try:
        from .piece_embeddings import embed_docs
        from .shim import TransformerShim
    except ImportError as error:
        raise ImportError(
            f"TransformerEncoder: it needs torch and transformers, which can't be imported ({error}): "
            "pip install 'spacy-mtl[transformers]'"
        ) from error

    settings = {"pooling": pooling, "all_layers": layers == "all"}
    shim = TransformerShim(settings=settings, mixed_precision=mixed_precision, compiled=compiled)
    attrs: dict[str, Any] = {
        "name": name,
        "max_batch": max_batch,
        "overlap": overlap,
        EXTRA: "transformers",
        EMBED: embed_docs,
    }
    if not compiled:
        # The backward pass of a compiled transformer can only be run as a whole, and once.
        attrs[LAST_LAYER] = LastLayer()
    return Model(
        "transformer_encoder",
        forward,
        init=init,
        dims={"nO": None},
        attrs=attrs,
        shims=[shim],
    )


def init(model: Tok2VecT, X: Any = None, Y: Any = None) -> None:
    """Load the pretrained weights if there are none yet, and set the output width."""
    shim: Any = model.shims[0]
    if not shim.is_loaded:
        shim.load(model.attrs["name"])
    model.set_dim("nO", shim.module.width, force=True)


def forward(model: Tok2VecT, docs: list[Doc], is_train: bool) -> tuple[list[Floats2d], Tok2VecBackpropT]:
    """RETURNS: The word vectors of each doc (n_words, width), as slices of one array, and backprop."""
    shim: Any = model.shims[0]
    lengths = list(map(len, docs))
    tokvecs = torch.zeros(sum(lengths), model.get_dim("nO"), device=shim.device)
    batches = plan_batches(model, docs)
    words, readings = [], []
    for batch in batches:
        inputs, rows = to_torch(batch, shim.device)
        with memory_error(batch, model):
            reading = shim.read(inputs, is_train=is_train)
        tokvecs[rows] = reading.output.detach()
        if is_train:
            words.append(rows)
            readings.append(reading)

    def backprop_last(d_tokvecs: Sequence[Floats2d]) -> Floats2d:
        dY = [xp2torch(one, device=shim.device) for one in d_tokvecs]
        return cast(Floats2d, torch2xp(shim.backprop_last(readings, [[one[rows] for rows in words] for one in dY])))

    def backprop(d_tokvecs: list[Floats2d]) -> list[Doc]:
        whole = join(d_tokvecs, model.ops)
        if last_layer is not None:
            # The gradients of all parameters come from one pass of autograd, so none is left out.
            last_layer.finish(whole)
        dY = xp2torch(whole, device=shim.device)
        if batches:
            with memory_error(batches[0], model):
                shim.backprop(readings, [dY[rows] for rows in words])
        readings.clear()
        return []

    last_layer: LastLayer | None = model.attrs.get(LAST_LAYER)
    if is_train and last_layer is not None:
        last_layer.begin(backprop_last)
    return Slices(torch2xp(tokvecs), lengths), backprop


def plan_batches(model: Tok2VecT, docs: list[Doc]) -> list[WindowBatch]:
    """Cut docs into pieces, windows and batches, the longest windows first."""
    shim: Any = model.shims[0]
    return plan_piece_batches(model, list(map(len, docs)), shim.pieces.read(docs, max_pieces=shim.room))


def plan_piece_batches(model: Tok2VecT, lengths: Sequence[int], pieces: Pieces) -> list[WindowBatch]:
    """Cut docs of `lengths` words, whose pieces are given, into windows and batches, the longest windows first."""
    shim: Any = model.shims[0]
    return plan_pieces(model, lengths, pieces).batches(shim.special)


def to_torch(batch: WindowBatch, device: Any) -> tuple[Any, Any]:
    """Copy a batch to the device, in one transfer.

    RETURNS: The input of the module, and the indices of the batch's own words.
    """
    from .piece_pooling import PieceInput

    arrays = (batch.ids, batch.texts, batch.positions, batch.own_positions, batch.counts, batch.words)
    flat = torch.from_numpy(np.concatenate([array.reshape(-1) for array in arrays])).to(device)
    parts = torch.split(flat, [array.size for array in arrays])
    *inputs, words = (part.view(array.shape) for part, array in zip(parts, arrays, strict=True))
    return PieceInput(*inputs), words


@contextmanager
def memory_error(batch: WindowBatch, model: Tok2VecT) -> Iterator[None]:
    """Raise a MemoryError that names the batch if memory runs out within the context. The weights stay unchanged."""
    try:
        yield
    except RuntimeError as error:
        text = str(error).lower()
        if "out of memory" not in text and "can't allocate memory" not in text:
            raise
        n_rows, n_pieces = batch.ids.shape
        raise MemoryError(
            f"transformer {model.attrs['name']!r}: out of memory on a batch of {n_rows} rows of {n_pieces} pieces; "
            f"its weights are unchanged. Lower max_batch, now {model.attrs['max_batch']}, or the batch size of the "
            "training"
        ) from error
