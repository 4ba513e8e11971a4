"""Gold relations as one row for each directed candidate pair."""

from collections.abc import Sequence

import numpy as np

from ...gold_relations import GoldRelation
from ...protocols.arrays import FloatsT, IntsT
from ...relation import UNKNOWN
from .candidate_pairs import Pairs


def gold_rows(
    gold: Sequence[Sequence[GoldRelation] | None], pairs: Pairs, labels: Sequence[str], symmetric: Sequence[str] = ()
) -> FloatsT:
    """Find the gold labels of the candidate pairs. Gold relations between other places have no row.

    gold (Sequence[list[GoldRelation] | None]): The relations of each doc; None if they are missing.
    RETURNS: (2 * n_pairs, n_labels): 1 where the label holds, 0 where it does not, NaN where that is not known.
    """
    annotated = np.array([own is not None for own in gold], dtype=bool)
    owners = np.repeat(pairs.entities.docs[pairs.first], 2)
    values = np.where(annotated[owners], 0.0, np.nan)[:, None].repeat(len(labels), axis=1)
    columns = {label: column for column, label in enumerate(labels)}
    triples = [
        (doc, relation.head.place, relation.tail.place, relation.label)
        for doc, own in enumerate(gold)
        for relation in own or ()
    ]
    triples += [(doc, tail, head, label) for doc, head, tail, label in triples if label in {*symmetric, UNKNOWN}]
    if not triples:
        return values
    rows = find_rows(pairs, [triple[:3] for triple in triples])
    unknown = np.array([label == UNKNOWN for *_, label in triples])
    values[rows[unknown & (rows >= 0)]] = np.nan
    for row, (*_, label) in zip(rows.tolist(), triples, strict=True):
        if row >= 0 and label != UNKNOWN:
            values[row, columns[label]] = 1.0
    return values


def find_rows(pairs: Pairs, wanted: Sequence[tuple[int, tuple[int, int], tuple[int, int]]]) -> IntsT:
    """Find the rows of pairs by their places: doc, boundaries of the head, boundaries of the tail.

    RETURNS: (n,): -1 where no candidate pair is there.
    """
    entities = pairs.entities
    places = {place: index for index, place in enumerate(zip(*(a.tolist() for a in _columns(pairs)), strict=True))}
    n_entities = len(entities.docs)
    heads = np.array([places.get((doc, *head), -1) for doc, head, _ in wanted], dtype="int64")
    tails = np.array([places.get((doc, *tail), -1) for doc, _, tail in wanted], dtype="int64")
    codes = pairs.heads * n_entities + pairs.tails
    order = np.argsort(codes)
    targets = heads * n_entities + tails
    index = np.searchsorted(codes, targets, sorter=order).clip(max=max(len(codes) - 1, 0))
    if not len(codes):
        return np.full(len(wanted), -1)
    rows = order[index]
    return np.where((codes[rows] == targets) & (heads >= 0) & (tails >= 0), rows, -1)


def _columns(pairs: Pairs) -> tuple[IntsT, IntsT, IntsT]:
    return pairs.entities.docs, pairs.entities.starts, pairs.entities.ends
