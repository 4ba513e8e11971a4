"""The spans decoded from a batch, and how they are written to `doc.ents`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB, ENT_KB_ID, ENT_TYPE
from spacy.strings import get_string_id
from spacy.tokens import Doc, Span, SpanGroup

from ..layers.ragged_rows import bounds, row_ranges
from ..protocols.arrays import ArrayT
from .tag_scheme import BEGIN, INSIDE, OUTSIDE

ENT_ATTRS = [ENT_IOB, ENT_TYPE, ENT_KB_ID]


@dataclass
class Spans:
    """Decoded spans of a batch. All arrays are (n_spans,).

    docs (Ints1d): Index of the doc.
    starts (Ints1d): Index of the span's first token in its doc.
    ends (Ints1d): Index of the token after its last one.
    labels (Ints1d): Index of its label.
    probabilities (Floats1d | None): Probability of exactly this span under the CRF, if it was asked for.
    rank_types (Callable | None): Computes how much likelier each type is than the span's own, in nats, (n_spans,
        n_labels), for spans that were decoded.
    rate (Callable | None): Computes the probability of each span, (n_spans,), for spans that were decoded by a CRF.
    """

    docs: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None
    rank_types: Callable[[], NDArray[np.float64]] | None = None
    rate: Callable[[], NDArray[np.float64]] | None = None

    def by_doc(self, docs: Sequence[Doc], label_ids: NDArray[np.uint64]) -> list[list[Span]]:
        """Make spaCy's spans, a list for each doc.

        docs (Sequence[Doc]): The docs of the batch.
        label_ids (Ints1d): Hashes of the labels, (n_labels,).
        """
        spans: list[list[Span]] = [[] for _ in docs]
        columns = (self.docs, self.starts, self.ends, label_ids[self.labels])
        for owner, start, end, label in zip(*(column.tolist() for column in columns), strict=True):
            spans[owner].append(Span(docs[owner], start, end, label=label))
        return spans

    def write_groups(self, docs: Sequence[Doc], key: str, label_ids: NDArray[np.uint64]) -> None:
        """Write the spans, which are in the order of the docs, to `doc.spans[key]`, with their probabilities as scores.

        label_ids (Ints1d): Hashes of the labels, (n_labels,).
        """
        assert self.probabilities is not None
        edges = np.searchsorted(self.docs, np.arange(len(docs) + 1))
        scores = self.probabilities.astype("f")
        for index, (doc, spans) in enumerate(zip(docs, self.by_doc(docs, label_ids), strict=True)):
            attrs = {"scores": scores[edges[index] : edges[index + 1]]}
            doc.spans[key] = SpanGroup(doc, name=key, spans=spans, attrs=attrs)


def add_strings(docs: Sequence[Doc], labels: Sequence[str]) -> NDArray[np.uint64]:
    """Add the labels to the vocab of each doc.

    RETURNS (Ints1d): The hashes of the labels, which are the same in every vocab, (n_labels,).
    """
    for vocab in {id(doc.vocab): doc.vocab for doc in docs}.values():
        for label in labels:
            vocab.strings.add(label)
    return _string_ids(tuple(labels))


@lru_cache(maxsize=64)
def _string_ids(labels: tuple[str, ...]) -> NDArray[np.uint64]:
    ids = np.array([get_string_id(label) for label in labels], dtype="uint64")
    # All callers share the array.
    ids.flags.writeable = False
    return ids


def set_ents(docs: Sequence[Doc], annotations: Spans, label_ids: NDArray[np.uint64]) -> None:
    """Write the spans to `doc.ents`: as one array for each doc, or span by span if it has entities or blocked tokens.

    Existing entities stay, and spans that overlap one of them are dropped. Blocked tokens stay blocked.

    label_ids (Ints1d): Hashes of the labels, (n_labels,).
    """
    ends = bounds([len(doc) for doc in docs])
    values: ArrayT = ent_values(docs, annotations, label_ids).T
    annotated = [doc.has_annotation(ENT_IOB) for doc in docs]
    spans = annotations.by_doc(docs, label_ids) if any(annotated) else []
    for index, (doc, start, end) in enumerate(zip(docs, ends.tolist(), ends[1:].tolist(), strict=False)):
        if annotated[index]:
            doc.set_ents(_displace(doc.ents, spans[index]), blocked=_blocked_spans(doc), default="outside")
        elif end > start:
            doc.from_array(ENT_ATTRS, values[start:end])


def ent_values(docs: Sequence[Doc], annotations: Spans, label_ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Get the values of `ENT_ATTRS` at each token of the docs, (3, n_tokens), if only these spans are there.

    label_ids (Ints1d): Hashes of the labels, (n_labels,).
    """
    ends = bounds([len(doc) for doc in docs])
    firsts, sizes = ends[annotations.docs] + annotations.starts, annotations.ends - annotations.starts
    tokens = row_ranges(firsts, sizes)
    values = np.zeros((len(ENT_ATTRS), ends[-1]), dtype="uint64")
    values[0] = OUTSIDE
    values[0, tokens] = INSIDE
    values[0, firsts] = BEGIN
    values[1, tokens] = np.repeat(label_ids[annotations.labels], sizes)
    return values


def is_blocked(values: ArrayT) -> NDArray[np.bool_]:
    """Whether each token is blocked for entities, (n_tokens,).

    values (Ints2d): ENT_IOB and ENT_TYPE of each token, (n_tokens, 2).
    """
    result: NDArray[np.bool_] = (values[:, 0] == BEGIN) & (values[:, 1] == 0)
    return result


def _blocked_spans(doc: Doc) -> list[Span]:
    """Return a span for each blocked token."""
    values = doc.to_array([ENT_IOB, ENT_TYPE])
    return [Span(doc, token, token + 1) for token in np.flatnonzero(is_blocked(values)).tolist()]


def _displace(old: Sequence[Span], new: Sequence[Span]) -> list[Span]:
    """Return the old spans and those of the new ones that overlap none of them."""
    taken = {token for span in old for token in range(span.start, span.end)}
    return [*old, *(span for span in new if taken.isdisjoint(range(span.start, span.end)))]
