"""What is wrong with gold relations, and which of them can't be learned."""

from collections.abc import Collection, Sequence
from typing import Any

from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import logger

from ...gold import snippet
from ...gold_relations import describe, find_mistake, read_relations
from ...relation import Relation, relations


def find_fault(doc: Doc, key: str, spans_key: str | None, *, exclusive: bool, symmetric: Collection[str]) -> str | None:
    """Say what is wrong with the relations of a doc; None if they can be learned.

    key (str): The span group of the relations.
    spans_key (str | None): The span group of the entities; None for `doc.ents`.
    exclusive (bool): Whether a pair may have one label only.
    symmetric (Collection[str]): Labels that hold in both directions.
    """
    mistake = find_mistake(doc, key, spans_key)
    return mistake or (find_rival(doc, key, spans_key, symmetric) if exclusive else None)


def find_rival(doc: Doc, key: str, spans_key: str | None, symmetric: Collection[str]) -> str | None:
    """Say which pair has two labels."""
    labels: dict[Any, str] = {}
    for head, tail, label in read_relations(doc, key, spans_key) or ():
        places = sorted((head, tail)) if label in symmetric else (head, tail)
        other = labels.setdefault(tuple(places), label)
        if other != label:
            return (
                f"doc {snippet(doc.text)}: {doc[head.start : head.end].text!r} and "
                f"{doc[tail.start : tail.end].text!r} are related by {other!r} and {label!r}, but labels are "
                "exclusive; leave one out, or set exclusive = false"
            )
    return None


def warn_of_lost(name: str, examples: Sequence[Example], key: str, max_distance: int | None) -> None:
    """Log a warning that says how many gold relations no candidate pair stands for.

    name (str): The head's name.
    """
    total, lost = 0, 0
    first = ""
    for eg in examples:
        for one in relations(eg.reference, key):
            total += 1
            reason = why_lost(one, max_distance)
            if reason:
                lost += 1
                first = first or f"{describe(one)} in doc {snippet(eg.reference.text)}, {reason}"
    if lost:
        logger.warning(
            "head '%s': %d of %d gold relations can't be learned or found, and count as missed. The first is %s",
            name,
            lost,
            total,
            first,
        )


def why_lost(relation: Relation, max_distance: int | None) -> str:
    """Give the reason why no pair stands for a gold relation; empty if one does."""
    head, tail = relation.head, relation.tail
    if (head.start, head.end) == (tail.start, tail.end):
        return "which relates an entity to itself"
    between = max(head.start, tail.start) - min(head.end, tail.end)
    if max_distance is not None and between > max_distance:
        return f"with {between} tokens in between, where max_distance is {max_distance}"
    return ""
