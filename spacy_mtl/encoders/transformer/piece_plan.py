"""How a batch of docs is cut into pieces, windows, and batches of windows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...protocols.arrays import ArrayT, Tok2VecT
from .piece_batches import (
    BATCH_COST,
    GPU_BATCH_COST,
    RowLayout,
    SpecialPieces,
    WindowBatch,
    batch_windows,
    fill_batch,
)
from .piece_windows import Windows, plan_piece_windows
from .word_pieces import Pieces


class PiecePlan(NamedTuple):
    """The pieces of a batch of docs, and how they are read.

    ids (Ints1d): Ids of the pieces of all words, (n_pieces,).
    counts (Ints1d): Number of pieces of each word, (n_words,).
    windows (Windows): The windows.
    layouts (list[RowLayout]): The layout of each batch of windows, the longest windows first.
    """

    ids: ArrayT
    counts: ArrayT
    windows: Windows
    layouts: list[RowLayout]

    def batches(self, special: SpecialPieces) -> list[WindowBatch]:
        """Fill the batches with the pieces."""
        return self.fill(self.ids, special)

    def fill(self, values: ArrayT, special: SpecialPieces) -> list[WindowBatch]:
        """Fill the batches with a number for each piece, (n_pieces,), in the place of its id."""
        return [fill_batch(self.windows, layout, values, self.counts, special) for layout in self.layouts]


def plan_pieces(model: Tok2VecT, lengths: Sequence[int], pieces: Pieces) -> PiecePlan:
    """Cut docs into windows, and plan their batches.

    model (Model[list[Doc], list[Floats2d]]): The encoder.
    lengths (Sequence[int]): Number of words of each doc.
    pieces (Pieces): The pieces of the words.
    """
    shim: Any = model.shims[0]
    overlap = min(model.attrs["overlap"], shim.room // 2)
    windows = plan_piece_windows(lengths, pieces.counts, max_pieces=shim.room, overlap=overlap)
    layouts = batch_windows(
        windows,
        pieces.counts,
        n_added=shim.special.n_added,
        max_batch=model.attrs["max_batch"],
        pack_sequences=shim.module.can_pack,
        batch_cost=GPU_BATCH_COST if shim.device.type == "cuda" else BATCH_COST,
    )
    return PiecePlan(pieces.ids, pieces.counts, windows, layouts)
