"""Which of many wrong docs to look at: errors that one system alone makes first, and of each confusion an example."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..protocols.decisions import Decisions
from .label_counts import wrong_rows


@dataclass
class ErrorGroup:
    """Docs that the same systems get wrong.

    wrong (tuple[bool, ...]): For each system whether it is wrong in these docs.
    docs (list[int]): The docs to show, the most instructive first.
    n_docs (int): How many there are in all.
    """

    wrong: tuple[bool, ...]
    docs: list[int]
    n_docs: int


def choose_errors(systems: Sequence[Decisions], lengths: Sequence[int], *, limit: int) -> list[ErrorGroup]:
    """Choose docs with errors, by which of the systems make them: one alone, the first or the second; then both.

    Within a group the docs show as many different confusions as possible: first an example of each confusion, the most
    frequent first, then a second one. Of the docs with the same confusion the shortest come first.

    systems (Sequence[Decisions]): Of one system or of two, on the same docs.
    lengths (Sequence[int]): Length of each doc in tokens.
    limit (int): Most docs of a group.
    """
    wrong = np.stack([docs_with_errors(found, len(lengths)) for found in systems])
    patterns = [(True,)] if len(systems) == 1 else [(True, False), (False, True), (True, True)]
    groups = []
    for pattern in patterns:
        found = np.flatnonzero((wrong == np.array(pattern)[:, None]).all(axis=0))
        if len(found):
            system = systems[pattern.index(True)]
            ordered = in_order(system, found, np.asarray(lengths, dtype="int64"))
            groups.append(ErrorGroup(pattern, ordered[:limit].tolist(), len(found)))
    return groups


def docs_with_errors(decisions: Decisions, n_docs: int) -> NDArray[np.bool_]:
    """Which docs have a wrong decision, (n_docs,)."""
    return np.bincount(decisions.docs[wrong_rows(decisions)], minlength=n_docs) > 0


def in_order(decisions: Decisions, docs: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort docs so that the first ones show many different confusions.

    docs (n,): Docs with errors. lengths (n_docs,): Of all docs.
    """
    rows = np.flatnonzero(wrong_rows(decisions) & np.isin(decisions.docs, docs))
    pairs = decisions.gold[rows] * (len(decisions.names) + 1) + decisions.predicted[rows]
    _, kind, frequency = np.unique(pairs, return_inverse=True, return_counts=True)
    owner = decisions.docs[rows]
    # A doc stands for its most frequent confusion.
    best = np.lexsort((kind, -frequency[kind], owner))
    first = best[np.r_[True, np.diff(owner[best]) > 0]]
    owner, kind = owner[first], kind[first]
    by_kind = np.lexsort((owner, lengths[owner], kind))
    starts = np.flatnonzero(np.r_[True, np.diff(kind[by_kind]) > 0])
    rank = np.arange(len(by_kind)) - np.repeat(starts, np.diff(np.r_[starts, len(by_kind)]))
    order = np.lexsort((kind[by_kind], -frequency[kind[by_kind]], rank))
    result: NDArray[np.int64] = owner[by_kind][order]
    return result
