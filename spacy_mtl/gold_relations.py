"""Gold relations, checked and aligned with the tokens of the predicted doc."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from spacy.attrs import ENT_IOB
from spacy.tokens import Doc, Span
from spacy.training import Example

from .gold import boundaries, snippet
from .relation import UNKNOWN, Relation, relations

PlaceT = tuple[int, int]


class Argument(NamedTuple):
    """An entity as the argument of a relation: its boundaries, and its type."""

    start: int
    end: int
    type: str

    @property
    def place(self) -> PlaceT:
        """The boundaries."""
        return self.start, self.end


class GoldRelation(NamedTuple):
    """A relation between two arguments. The label "" says that it is not known how they are related."""

    head: Argument
    tail: Argument
    label: str


def gold_entities(doc: Doc, spans_key: str | None) -> Sequence[Span]:
    """Get the entities of a gold doc.

    spans_key (str | None): The span group that they are in; None for `doc.ents`.
    """
    return doc.ents if spans_key is None else list(doc.spans.get(spans_key, ()))


def read_relations(doc: Doc, key: str, spans_key: str | None) -> list[GoldRelation] | None:
    """Get the relations of a doc, with boundaries in its tokens. An argument has the type of the entity at its place,
    or else the label of its span.

    key (str): The span group of the relations.
    spans_key (str | None): The span group of the entities; None for `doc.ents`.
    RETURNS: None if the doc is not annotated.
    """
    if key not in doc.spans:
        return None
    types = {(ent.start, ent.end): ent.label_ for ent in gold_entities(doc, spans_key)}
    return [
        GoldRelation(_argument(relation.head, types), _argument(relation.tail, types), relation.label)
        for relation in relations(doc, key)
    ]


def _argument(span: Span, types: dict[PlaceT, str]) -> Argument:
    return Argument(span.start, span.end, types.get((span.start, span.end), span.label_))


def find_mistake(doc: Doc, key: str, spans_key: str | None) -> str | None:
    """Say what is wrong with the relations of a gold doc; None if nothing is."""
    try:
        found = relations(doc, key)
    except ValueError as error:
        return f"doc {snippet(doc.text)}: {error}"
    entities = gold_entities(doc, spans_key)
    for relation in found:
        if not isinstance(relation.label, str):
            return f"doc {snippet(doc.text)}: {relation.label!r} can't be a label of a relation; a label is a string"
        for span in (relation.head, relation.tail):
            if _is_outside(span, doc, entities, spans_key):
                where = "doc.ents" if spans_key is None else f"doc.spans[{spans_key!r}]"
                return (
                    f"doc {snippet(doc.text)}: the argument {span.text!r} of {describe(relation)} is no entity in "
                    f"{where}; add the entity, leave the relation out, or leave the entities of these tokens unset"
                )
    return None


def describe(relation: Relation) -> str:
    """A relation in words, for messages."""
    return f"the relation {relation.label!r} from {relation.head.text!r} to {relation.tail.text!r}"


def _is_outside(span: Span, doc: Doc, entities: Sequence[Span], spans_key: str | None) -> bool:
    """Whether no entity overlaps the argument, though the entities of its tokens are annotated."""
    if any(ent.start < span.end and span.start < ent.end for ent in entities):
        return False
    if spans_key is not None:
        return spans_key in doc.spans
    return bool((doc.to_array(ENT_IOB)[span.start : span.end] != 0).all())


class Aligned:
    """The places of gold spans in the tokens of the predicted doc."""

    def __init__(self, example: Example) -> None:
        self._predicted, self._gold = boundaries(example)

    def place(self, start: int, end: int) -> PlaceT | None:
        """Translate boundaries in gold tokens to predicted ones; None if no predicted tokens begin and end there."""
        if self._predicted is self._gold:
            return start, end
        first, last = self._gold[start], self._gold[end]
        # a blank token has no characters of its own, so that several boundaries can be equal
        begin = int(np.searchsorted(self._predicted, first, side="right")) - 1
        stop = int(np.searchsorted(self._predicted, last, side="left"))
        if begin < 0 or stop >= len(self._predicted) or begin >= stop:
            return None
        exact = self._predicted[begin] == first and self._predicted[stop] == last
        return (begin, stop) if exact else None


def aligned_entities(example: Example, key: str, spans_key: str | None) -> list[Argument]:
    """Get the gold entities of a doc with gold relations in predicted tokens, and arguments that are no entities, such
    as those inside of another one. Each place is there once. Misaligned ones are left out.
    """
    aligned = Aligned(example)
    found: dict[PlaceT, Argument] = {}
    arguments = (span for relation in relations(example.reference, key) for span in (relation.head, relation.tail))
    for span in (*gold_entities(example.reference, spans_key), *arguments):
        place = aligned.place(span.start, span.end)
        if place is not None:
            found.setdefault(place, Argument(*place, span.label_))
    return list(found.values())


def aligned_relations(example: Example, key: str, spans_key: str | None) -> list[GoldRelation] | None:
    """Get the gold relations in predicted tokens, without those of misaligned arguments; None if the doc is not
    annotated.
    """
    found = read_relations(example.reference, key, spans_key)
    if not found:
        return found
    aligned = Aligned(example)
    result = []
    for head, tail, label in found:
        places = aligned.place(*head.place), aligned.place(*tail.place)
        if places[0] is not None and places[1] is not None:
            result.append(GoldRelation(Argument(*places[0], head.type), Argument(*places[1], tail.type), label))
    return result


def labels_of(doc: Doc, key: str) -> Iterable[str]:
    """Get the label of each gold relation, without unknown ones."""
    return [relation.label for relation in relations(doc, key) if relation.label != UNKNOWN]
