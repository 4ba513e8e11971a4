"""Which relations are possible between entities of which types."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ...protocols.arrays import BoolsT

# label, type of the head, type of the tail
TripleT = tuple[str, str, str]
TypesT = Literal["seen"] | dict[str, Any] | None
OWNER = "RelationExtractor: types"


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
