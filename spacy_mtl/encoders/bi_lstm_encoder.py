"""A bidirectional LSTM on top of any encoder or embedding, for `spacy.Tok2Vec.v2`."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import numpy as np
from thinc.api import ArgsKwargs, Model, torch2xp, xp2torch
from thinc.types import Floats2d

from ..layers.dropout import dropout

EncoderT = Model[list[Floats2d], list[Floats2d]]
BackpropT = Callable[[list[Floats2d]], list[Floats2d]]


def make_bi_lstm_encoder_v1(width: int, depth: int = 1) -> EncoderT:
    """Build a bidirectional LSTM with a residual connection and dropout, for the `encode` of `spacy.Tok2Vec.v2` (Graves
    and Schmidhuber 2005, "Framewise phoneme classification with bidirectional LSTM networks"). Needs torch.

    width (int): Width of input and output vectors; even, since each direction gives one half.
    depth (int): Number of layers.
    """
    if width < 2 or width % 2:
        raise ValueError(f"BiLSTMEncoder: width is {width}; it must be even, for half of it goes in each direction")
    if depth < 1:
        raise ValueError(f"BiLSTMEncoder: depth is {depth}; it must be at least 1")
    from thinc.api import PyTorchShim

    from ..layers.lstm import BiLSTM

    shim = PyTorchShim(BiLSTM(width, width, depth))
    return Model(
        "bi_lstm_encoder",
        forward,
        layers=[dropout(), dropout()],
        shims=[shim],
        dims={"nI": width, "nO": width},
    )


def forward(model: EncoderT, X: list[Floats2d], is_train: bool) -> tuple[list[Floats2d], BackpropT]:
    """RETURNS: For each doc its vectors (n_tokens, width), slices of one array, and backprop."""
    lengths = np.array([len(rows) for rows in X], dtype="int64")
    ends = np.cumsum([0, *lengths]).tolist()
    if not ends[-1]:
        return X, lambda dY: dY
    flat = model.ops.flatten(X)
    dropped, backprop_input = model.layers[0](flat, is_train)
    context, backprop_lstm = read(model, dropped, lengths, is_train=is_train)
    added, backprop_output = model.layers[1](context, is_train)

    def backprop(dY: list[Floats2d]) -> list[Floats2d]:
        d_flat = model.ops.flatten(dY)
        d_flat = d_flat + backprop_input(backprop_lstm(backprop_output(d_flat)))
        return [d_flat[start:end] for start, end in pairwise(ends)]

    Y = flat + added
    return [Y[start:end] for start, end in pairwise(ends)], backprop


def read(
    model: EncoderT, X: Floats2d, lengths: np.ndarray[Any, np.dtype[np.int64]], *, is_train: bool
) -> tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
    """The LSTM's vectors of docs end to end. RETURNS: (n_tokens, width), and backprop: dY -> dX."""
    import torch

    from ..layers.lstm import pack

    shim: Any = model.shims[0]
    packing = pack(lengths)
    inputs = xp2torch(X, requires_grad=is_train, device=shim.device)
    rows = torch.from_numpy(packing.rows).to(shim.device)
    arguments = ArgsKwargs((inputs, rows, torch.from_numpy(packing.batch_sizes)), {})
    Y, backprop_torch = shim(arguments, is_train)

    def backprop(dY: Floats2d) -> Floats2d:
        gradients = ArgsKwargs(((Y,),), {"grad_tensors": xp2torch(dY, device=shim.device)})
        return cast(Floats2d, torch2xp(backprop_torch(gradients).args[0]))

    return cast(Floats2d, torch2xp(Y)), backprop
