"""Relations of one doc, written to another with the same tokens, or compared with those of another."""

from collections.abc import Mapping

from spacy.tokens import Doc, Span

from ...relation import UNKNOWN, Relation, relations, set_relations


def copy_relations(source: Doc, target: Doc, key: str) -> None:
    """Copy the relations, without their probabilities."""
    rename_relations(source, target, key, {})


def rename_relations(source: Doc, target: Doc, key: str, mapping: Mapping[str, str | None]) -> None:
    """Copy the relations with other labels, and other types of their arguments.

    mapping (Mapping[str, str | None]): Old name -> new one, or None to drop it. A dropped label becomes the unknown
        label "", so that nothing is learned of this pair, since there was something. A dropped type stays.
    """

    def argument(span: Span) -> Span:
        return Span(target, span.start, span.end, label=mapping.get(span.label_, span.label_) or span.label_)

    renamed = []
    for one in relations(source, key):
        label = mapping.get(one.label, one.label)
        renamed.append(Relation(argument(one.head), argument(one.tail), UNKNOWN if label is None else label))
    set_relations(target, renamed, key, with_scores=False)


def same_relations(one: Doc, other: Doc, key: str) -> bool:
    """Check whether two docs have the same relations, in any order. Their vocabs may differ."""
    mine, theirs = (
        {
            (*((span.start, span.end, span.label_) for span in (found.head, found.tail)), found.label)
            for found in relations(doc, key)
        }
        for doc in (one, other)
    )
    return mine == theirs
