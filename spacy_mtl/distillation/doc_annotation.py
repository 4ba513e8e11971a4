"""Copying the annotation of docs: to docs with the same tokens, or with others."""

from typing import Any

import numpy as np
from spacy.attrs import DEP, HEAD, LEMMA, MORPH, POS, SENT_START, TAG
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

VALUES = {"tag": TAG, "pos": POS, "morph": MORPH, "lemma": LEMMA}


def copy_annotation(source: Doc, target: Doc, *, only: str = "") -> None:
    """Add all annotation of a doc to another one with the same tokens, which may have another vocab.

    only (str): "ents", or the name of a token's attribute; empty for all.
    """
    if only in ("", "ents") and source.has_annotation("ENT_IOB"):
        copy_ents(source, target)
    for name, attr in VALUES.items():
        if only in ("", name) and source.has_annotation(attr):
            write_values(target, name, values_in(source, name))
    if only == "" and source.has_annotation("DEP"):
        write_array(source, target, [HEAD, DEP], source.vocab.strings)
    elif only in ("", "sent_start") and source.has_annotation("SENT_START"):
        write_array(source, target, [SENT_START], None)
    if only == "":
        target.cats.update(source.cats)
        for key, group in source.spans.items():
            spans = [Span(target, span.start, span.end, label=span.label_) for span in group]
            target.spans[key] = SpanGroup(target, name=key, spans=spans, attrs=dict(group.attrs))


def copy_ents(source: Doc, target: Doc) -> None:
    """Copy the entities, and what tokens have none."""
    spans = [Span(target, span.start, span.end, label=span.label_) for span in source.ents]
    missing = [target[token.i : token.i + 1] for token in source if not token.ent_iob]
    target.set_ents(spans, missing=missing, default="outside")


def values_in(doc: Doc, name: str) -> list[str]:
    """The value of each token; an empty string where it has none."""
    strings, values = doc.vocab.strings, doc.to_array(VALUES[name])
    return [strings[int(value)] if value else "" for value in values]


def write_values(doc: Doc, name: str, values: list[str]) -> None:
    """Set the value of each token; an empty string leaves it without one."""
    strings = doc.vocab.strings
    add: Any = doc.vocab.morphology.add if name == "morph" else strings.add
    codes: Any = np.array([add(value) if value else 0 for value in values], dtype="uint64")
    doc.from_array(VALUES[name], codes)


def write_array(source: Doc, target: Doc, attrs: list[int | str], strings: Any) -> None:
    """Copy attributes as spaCy stores them."""
    if strings is not None:
        for token in source:
            target.vocab.strings.add(token.dep_)
    values: Any = source.to_array(attrs)
    target.from_array(attrs, values)


def carry_over(source: Doc, target: Doc) -> int:
    """Add the annotation of a doc to one of the same text with other tokens. Classes are kept, entities if they begin
    and end with a token of the target, values of tokens if these are the same in both; a token that lost an entity has
    none that is known. Everything else is dropped.

    RETURNS (int): Number of entities and values that were dropped.
    """
    aligned = Example(target.copy(), source)
    n_dropped = 0
    target.cats.update(source.cats)
    if source.has_annotation("ENT_IOB"):
        found = aligned.get_aligned_spans_y2x(source.ents)
        lost = {(span.start_char, span.end_char) for span in source.ents}
        lost -= {(span.start_char, span.end_char) for span in found}
        missing = [target.char_span(start, end, alignment_mode="expand") for start, end in lost]
        kept = [Span(target, span.start, span.end, label=span.label_) for span in found]
        n_dropped += len(lost)
        target.set_ents(
            kept, missing=outside_of(kept, [span for span in missing if span is not None]), default="outside"
        )
    for name, attr in VALUES.items():
        if source.has_annotation(attr):
            theirs = values_in(source, name)
            values = [""] * len(target)
            for token in target:
                index = aligned.alignment.x2y[token.i]
                if len(index) == 1 and len(aligned.alignment.y2x[int(index[0])]) == 1:
                    values[token.i] = theirs[int(index[0])]
            n_dropped += sum(map(bool, theirs)) - sum(map(bool, values))
            write_values(target, name, values)
    n_dropped += int(source.has_annotation("DEP")) + int(source.has_annotation("SENT_START")) + len(source.spans)
    return n_dropped


def outside_of(kept: list[Span], missing: list[Span]) -> list[Span]:
    """The tokens of some spans that are in no other span, as spans."""
    taken = {index for span in kept for index in range(span.start, span.end)}
    return [span.doc[i : i + 1] for span in missing for i in range(span.start, span.end) if i not in taken]
