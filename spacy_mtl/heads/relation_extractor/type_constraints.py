"""Which relations are possible between entities of which types."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from spacy.tokens import Doc

from ...gold_relations import read_relations
from ...protocols.arrays import BoolsT, IntsT

# label, type of the head, type of the tail
TripleT = tuple[str, str, str]
TypesT = Literal["seen"] | dict[str, Any] | None
OWNER = "RelationExtractor: types"


class TypeConstraints:
    """The labels that two entities of given types can have.

    types (TypesT): The setting: "seen" for the types of training, pairs of types by label, or None for all.
    given (list[TripleT] | None): The pairs of the setting; None if there are none.
    symmetric (Sequence[str]): Labels that hold in both directions.
    """

    def __init__(self, types: TypesT, symmetric: Sequence[str]) -> None:
        self.types = types
        self.given = read_types(types)
        self.symmetric = symmetric
        self._last: tuple[tuple[list[Any], ...], TypeTable] | None = None

    def see(self, docs: Iterable[Doc], attrs: dict[str, Any], *, key: str, entities_key: str | None) -> None:
        """Note which label has which types in gold docs. Seeing a doc again changes nothing.

        attrs (dict[str, Any]): The attributes of the network, where the types are saved as "seen".
        key (str): The span group of the relations.
        entities_key (str | None): The span group of the entities; None for `doc.ents`.
        """
        if self.types != "seen":
            return
        seen = {tuple(triple) for triple in attrs["seen"]}
        size = len(seen)
        for doc in docs:
            for head, tail, label in read_relations(doc, key, entities_key) or ():
                seen.add((label, head.type, tail.type))
        if len(seen) > size:
            attrs["seen"] = sorted(map(list, seen))

    def table(self, attrs: Mapping[str, Any]) -> "TypeTable":
        """Get the table of what is possible. It is made again only if an attribute has changed.

        attrs (Mapping[str, Any]): The attributes of the network: "labels", "types" and "seen".
        """
        triples, types, labels = attrs["seen"] if self.given is None else self.given, attrs["types"], attrs["labels"]
        made_of = (list(triples), list(types), list(labels))
        last = self._last
        if last is None or last[0] != made_of:
            closed = labels if self.types == "seen" else [label for label, *_ in self.given or ()]
            made = TypeTable(allowed_labels(triples, types, labels, symmetric=self.symmetric, closed=closed))
            last = self._last = (made_of, made)
        return last[1]


class TypeTable:
    """What is possible between a head and a tail of given types, looked up for many pairs at once.

    allowed (BoolsT): See `allowed_labels`.
    """

    def __init__(self, allowed: BoolsT) -> None:
        self._n_types = len(allowed)
        self._labels = allowed.reshape(self._n_types**2, -1)
        self._any = self._labels.any(axis=1)

    def labels(self, heads: IntsT, tails: IntsT) -> BoolsT:
        """The labels that are possible, (n_rows, n_labels). heads, tails: rows of the types, (n_rows,)."""
        return self._labels.take(heads * self._n_types + tails, axis=0)

    def any(self, heads: IntsT, tails: IntsT) -> BoolsT:
        """Whether a label is possible, (n_rows,). heads, tails: rows of the types, (n_rows,)."""
        return self._any.take(heads * self._n_types + tails)


def read_types(types: TypesT) -> list[TripleT] | None:
    """Read the setting `types`, such as {"works_for": [["PER", "ORG"]]}. RETURNS: None if no types are given."""
    if types is None or types == "seen":
        return None
    if not isinstance(types, Mapping):
        raise ValueError(f"{OWNER} is {types!r}, expected 'seen', null or pairs of types by label")
    triples = []
    for label, pairs in types.items():
        for pair in pairs:
            if isinstance(pair, str) or len(pair) != 2:
                raise ValueError(
                    f"{OWNER} has {pair!r} for {label!r}, expected a list of pairs, the type of the head and that of "
                    'the tail, such as [["PER", "ORG"]]'
                )
            triples.append((label, *pair))
    return triples


def allowed_labels(
    triples: Iterable[TripleT],
    types: Sequence[str],
    labels: Sequence[str],
    *,
    symmetric: Iterable[str] = (),
    closed: Iterable[str],
) -> BoolsT:
    """Make the table of what is possible.

    triples (Iterable[TripleT]): What is possible.
    types (Sequence[str]): The types that are known.
    labels (Sequence[str]): The labels.
    symmetric (Iterable[str]): Labels that hold in both directions.
    closed (Iterable[str]): Labels that hold between no other types than those in `triples`.
    RETURNS: (n_types + 1, n_types + 1, n_labels): by type of the head, type of the tail and label. Row 0 stands for
        unknown types, for which everything is possible.
    """
    rows = {name: row for row, name in enumerate(types, start=1)}
    columns = {label: column for column, label in enumerate(labels)}
    table = np.ones((len(rows) + 1, len(rows) + 1, len(labels)), dtype=bool)
    limited = [columns[label] for label in closed if label in columns]
    table[1:, 1:, limited] = False
    for label, head, tail in triples:
        if label in columns and head in rows and tail in rows:
            table[rows[head], rows[tail], columns[label]] = True
    mutual = [columns[label] for label in symmetric if label in columns]
    table[:, :, mutual] |= table[:, :, mutual].transpose(1, 0, 2)
    return table
