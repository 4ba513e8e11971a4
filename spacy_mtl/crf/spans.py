"""The spans that a recognizer found in a batch, and how they are written to `doc.ents`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB, ENT_KB_ID, ENT_TYPE
from spacy.strings import get_string_id
from spacy.tokens import Doc, Span

from ..layers.ragged_rows import bounds, row_ranges
from ..protocols.arrays import ArrayT
from .tag_scheme import BEGIN, INSIDE, OUTSIDE

ENT_ATTRS = [ENT_IOB, ENT_TYPE, ENT_KB_ID]


@dataclass
class Spans:
    """Decoded spans of a batch. All arrays (n_spans,): index of the doc, first token, end (exclusive), label index, and
    the probability of exactly this span under the CRF where it was asked for.
    """

    docs: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None

    def by_doc(self, docs: Sequence[Doc], label_ids: NDArray[np.uint64]) -> list[list[Span]]:
        """spaCy's spans of each doc. label_ids (n_labels,): the labels' hashes."""
        spans: list[list[Span]] = [[] for _ in docs]
        columns = (self.docs, self.starts, self.ends, label_ids[self.labels])
        for owner, start, end, label in zip(*(column.tolist() for column in columns), strict=True):
            spans[owner].append(Span(docs[owner], start, end, label=label))
        return spans


def add_strings(docs: Sequence[Doc], labels: Sequence[str]) -> NDArray[np.uint64]:
    """Add the labels to the vocab of each doc. RETURNS: their hashes, (n_labels,), which are those of every vocab."""
    for vocab in {id(doc.vocab): doc.vocab for doc in docs}.values():
        for label in labels:
            vocab.strings.add(label)
    return np.array([get_string_id(label) for label in labels], dtype="uint64")


def set_ents(docs: Sequence[Doc], annotations: Spans, label_ids: NDArray[np.uint64]) -> None:
    """Write `doc.ents` as whole arrays, and one by one where a doc has entities or blocked tokens."""
    ends = bounds([len(doc) for doc in docs])
    sizes = annotations.ends - annotations.starts
    tokens = row_ranges(ends[annotations.docs] + annotations.starts, sizes)
    values: ArrayT = np.zeros((ends[-1], len(ENT_ATTRS)), dtype="uint64")
    values[:, 0] = OUTSIDE
    values[tokens, 0] = INSIDE
    values[ends[annotations.docs] + annotations.starts, 0] = BEGIN
    values[tokens, 1] = np.repeat(label_ids[annotations.labels], sizes)
    annotated = [doc.has_annotation(ENT_IOB) for doc in docs]
    spans = annotations.by_doc(docs, label_ids) if any(annotated) else []
    for index, (doc, start, end) in enumerate(zip(docs, ends.tolist(), ends[1:].tolist(), strict=False)):
        if annotated[index]:
            doc.set_ents(_displace(doc.ents, spans[index]), blocked=_blocked_spans(doc), default="outside")
        elif end > start:
            doc.from_array(ENT_ATTRS, values[start:end])


def is_blocked(values: ArrayT) -> NDArray[np.bool_]:
    """Whether tokens are blocked for entities, (n_tokens,). values (n_tokens, 2): ENT_IOB and ENT_TYPE."""
    result: NDArray[np.bool_] = (values[:, 0] == BEGIN) & (values[:, 1] == 0)
    return result


def _blocked_spans(doc: Doc) -> list[Span]:
    """The blocked tokens, each a span."""
    values = doc.to_array([ENT_IOB, ENT_TYPE])
    return [Span(doc, token, token + 1) for token in np.flatnonzero(is_blocked(values)).tolist()]


def _displace(old: Sequence[Span], new: Sequence[Span]) -> list[Span]:
    """The old spans, and those of the new that don't overlap them."""
    taken = {token for span in old for token in range(span.start, span.end)}
    return [*old, *(span for span in new if taken.isdisjoint(range(span.start, span.end)))]
