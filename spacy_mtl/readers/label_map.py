"""Renaming and dropping the labels of a gold doc."""

from collections.abc import Mapping

from spacy.tokens import Doc, Span

LabelMapT = Mapping[str, str | None]  # old label -> new one, or None to drop it


def with_labels(doc: Doc, mapping: LabelMapT) -> Doc:
    """The doc with other labels in `ents`, `cats`, `tag_` and `spans`; a copy, or the doc itself if none is named.

    A dropped entity leaves its tokens unset: something was there, so they are missing gold, not "outside". A dropped
    class loses its key, a dropped tag its value: both are missing then. Where classes meet in one name, the larger
    value stays.
    """
    old = {ent.label_ for ent in doc.ents} | set(doc.cats) | {token.tag_ for token in doc}
    old |= {span.label_ for group in doc.spans.values() for span in group}
    if old.isdisjoint(mapping):
        return doc
    doc = doc.copy()
    doc.cats = _map_cats(doc.cats, mapping)
    _map_ents(doc, mapping)
    for token in doc:
        if token.tag_ in mapping:
            token.tag_ = mapping[token.tag_] or ""
    for group in doc.spans.values():
        kept = [span for span in group if mapping.get(span.label_, span.label_) is not None]
        doc.spans[group.name] = [_relabelled(span, mapping) for span in kept]
    return doc


def _map_cats(cats: Mapping[str, float], mapping: LabelMapT) -> dict[str, float]:
    result: dict[str, float] = {}
    for key, value in cats.items():
        new = mapping.get(key, key)
        if new is not None:
            result[new] = max(value, result.get(new, 0.0))
    return result


def _map_ents(doc: Doc, mapping: LabelMapT) -> None:
    kept = [ent for ent in doc.ents if mapping.get(ent.label_, ent.label_) is not None]
    dropped = [ent for ent in doc.ents if ent not in kept]
    doc.set_ents([_relabelled(ent, mapping) for ent in kept], missing=dropped, default="unmodified")


def _relabelled(span: Span, mapping: LabelMapT) -> Span:
    label = mapping.get(span.label_, span.label_)
    return Span(span.doc, span.start, span.end, label=label or "", kb_id=span.kb_id)
