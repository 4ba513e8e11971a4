"""The embeddings of word pieces that a transformer reads, for explanations (`protocols/embeddings.py`)."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import torch2xp, xp2torch
from thinc.compat import torch

from ...layers.ragged_rows import row_owners
from ...protocols.arrays import ArrayT, Tok2VecT
from ...protocols.embeddings import Embedded
from .piece_batches import SpecialPieces
from .piece_plan import plan_pieces
from .transformer_encoder import memory_error, to_torch
from .word_pieces import PieceTable

# owner of special pieces and of padding
NOBODY = -1


def embed_docs(model: Tok2VecT, docs: Sequence[Doc]) -> Embedded | None:
    """Get the rows of the embedding table for all pieces. Positions and layer norm come after them. The baseline of a
    word's piece is the padding piece; special pieces stay. In a long doc, the pieces that two windows share have a row
    in each. A word without pieces has no row.

    RETURNS: None if the transformer does not accept embeddings in the place of piece ids.
    """
    shim: Any = model.shims[0]
    accepted = inspect.signature(shim.module.transformer.forward).parameters
    if "inputs_embeds" not in accepted:
        return None
    # a table of its own, since reading adds words to it
    pieces = PieceTable(shim.pieces.tokenizer).read(docs, max_pieces=shim.room)
    plan = plan_pieces(model, list(map(len, docs)), pieces)
    batches = plan.batches(shim.special)
    prefix, suffix = ((NOBODY,) * len(part) for part in (shim.special.prefix, shim.special.suffix))
    owners = _flat([batch.ids for batch in plan.fill(row_owners(plan.counts), SpecialPieces(prefix, suffix, NOBODY))])
    table = shim.module.transformer.get_input_embeddings()
    with torch.no_grad():
        vectors = table(torch.from_numpy(_flat([batch.ids for batch in batches])).to(shim.device))
        pad = table(torch.tensor(shim.special.pad, device=shim.device))
        belongs = torch.from_numpy(owners != NOBODY).to(shim.device)
        baseline = torch.where(belongs[:, None], pad, vectors)
    sizes = [batch.ids.size for batch in batches]

    def encode(changed: NDArray[np.float32]) -> tuple[ArrayT, Callable[[ArrayT], NDArray[np.float32]]]:
        tokvecs = torch.zeros(sum(map(len, docs)), model.get_dim("nO"), device=shim.device)
        parts = torch.split(torch.from_numpy(changed).to(shim.device), sizes)
        rows, inputs, outputs = [], [], []
        for batch, part in zip(batches, parts, strict=True):
            pieces, words = to_torch(batch, shim.device)
            leaf = part.reshape(*batch.ids.shape, -1).to(vectors.dtype).requires_grad_()
            with memory_error(batch, model):
                output = shim.read_embedded(pieces, leaf)
            tokvecs[words] = output.detach()
            rows.append(words)
            inputs.append(leaf)
            outputs.append(output)

        def backprop(d_tokvecs: ArrayT) -> NDArray[np.float32]:
            dY = xp2torch(d_tokvecs, device=shim.device)
            found = torch.autograd.grad(outputs, inputs, [dY[words] for words in rows])
            flat_found = torch.cat([gradient.flatten(0, 1) for gradient in found])
            d_vectors: NDArray[np.float32] = flat_found.float().cpu().numpy()
            return d_vectors

        return torch2xp(tokvecs), backprop

    return Embedded(vectors.float().cpu().numpy(), baseline.float().cpu().numpy(), owners, encode)


def _flat(arrays: list[ArrayT]) -> ArrayT:
    return np.concatenate([array.reshape(-1) for array in arrays])
