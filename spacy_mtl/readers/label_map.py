"""Rename and drop the labels of a gold doc."""

from collections.abc import Iterable, Mapping

from spacy.tokens import Doc

from ..protocols.head import Head
from ..protocols.head_labels import RenamesLabels

LabelMapT = Mapping[str, str | None]  # old label -> new one, or None to drop it


def with_labels(doc: Doc, mapping: LabelMapT, heads: Iterable[Head]) -> Doc:
    """Copy a doc and rename the labels that the heads learn from. A dropped label becomes missing gold."""
    target = doc.copy()
    for head in heads:
        if isinstance(head, RenamesLabels):
            head.rename_labels(doc, target, mapping)
    return target
