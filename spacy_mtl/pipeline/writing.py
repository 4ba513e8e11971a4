"""Writing what the heads have found to the docs: all token attributes of a doc by a single call."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from spacy.tokens import Doc

from ..layers.ragged_rows import bounds
from ..protocols.arrays import AnnotationsT, ArrayT
from ..protocols.fits import fits
from ..protocols.head import Head
from ..protocols.token_values import TokenValues, WritesTokens


def write_annotations(heads: Mapping[str, Head], docs: Sequence[Doc], found: Mapping[str, AnnotationsT]) -> None:
    """Write the annotation of some heads.

    found (Mapping[str, AnnotationsT]): Decoded annotation by head name.
    """
    able: dict[str, Any] = {key: heads[key] for key in found if fits(heads[key], WritesTokens)}
    values: dict[str, TokenValues | None] = {key: head.token_values(docs, found[key]) for key, head in able.items()}
    parts = {key: part for key, part in values.items() if part is not None}
    if any_annotated(docs, [part.mark for part in parts.values() if part.mark is not None]):
        # Each head decides what stays.
        parts = {}
    if parts:
        write_tokens(docs, list(parts.values()))
    for key, annotations in found.items():
        if key not in parts:
            heads[key].set_annotations(docs, annotations)


def any_annotated(docs: Sequence[Doc], marks: Sequence[int]) -> bool:
    """Check whether any token of the docs has a value of these attributes."""
    return any(doc.has_annotation(mark) for doc in docs if len(doc) for mark in marks)


def write_tokens(docs: Sequence[Doc], parts: Sequence[TokenValues]) -> None:
    """Write token attributes. The parts have different ones."""
    attrs: list[int | str] = [attr for part in parts for attr in part.attrs]
    values: ArrayT = np.concatenate([part.values for part in parts]).T
    edges = bounds([len(doc) for doc in docs]).tolist()
    for doc, start, end in zip(docs, edges, edges[1:], strict=False):
        if end > start:
            doc.from_array(attrs, values[start:end])
