"""What a head decided, beside the gold annotation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntsT = NDArray[np.int64]
# index of the doc, first token, end (exclusive), gold label, predicted label; None for "nothing here"
RowT = tuple[int, int, int, str | None, str | None]
# first token and end of the head, first token and end of the tail
ArgumentsT = tuple[int, int, int, int]
# the index of "nothing here"
NOTHING = -1


@dataclass
class Decisions:
    """The decisions that a head took for a batch, one row each. A row has gold, a prediction, or both. Arrays (n,).

    unit (str): What a decision is about, in the plural: "docs", "tokens", "spans".
    docs (IntsT): Index of the example.
    starts, ends (IntsT): First token and end (exclusive); 0 and the number of tokens if it is about the whole doc.
    gold, predicted (IntsT): Index in `names`, or -1 for nothing, such as a span that only one of the two has.
    names (tuple[str, ...]): The labels.
    arguments (IntsT | None): What decisions about two spans relate, such as relations and arcs, (n, 4): first token and
        end of the head, then of the tail or dependent, the same for the root of a tree. None if each is about one span.
    """

    unit: str
    docs: IntsT
    starts: IntsT
    ends: IntsT
    gold: IntsT
    predicted: IntsT
    names: tuple[str, ...]
    arguments: IntsT | None = None

    @classmethod
    def from_rows(cls, unit: str, rows: Iterable[RowT], arguments: Sequence[ArgumentsT] | None = None) -> "Decisions":
        """Make the arrays from rows; the names are the labels that occur, in alphabetical order."""
        columns: Any = list(zip(*rows, strict=True)) or [()] * 5
        labels = sorted({label for label in (*columns[3], *columns[4]) if label is not None})
        index = {label: place for place, label in enumerate(labels)} | {None: NOTHING}
        numbers = [*columns[:3], *(map(index.__getitem__, column) for column in columns[3:])]
        arrays = [np.fromiter(column, dtype="int64", count=len(columns[0])) for column in numbers]
        docs, starts, ends, gold, predicted = arrays
        related = None if arguments is None else np.array(arguments, dtype="int64").reshape(-1, 4)
        return cls(unit, docs, starts, ends, gold, predicted, tuple(labels), related)

    @classmethod
    def from_indices(
        cls, unit: str, places: Sequence[IntsT], gold: IntsT, predicted: IntsT, labels: Sequence[str]
    ) -> "Decisions":
        """Make the arrays from indices in any list of labels, -1 for nothing.

        places (Sequence[IntsT]): `docs`, `starts` and `ends`.
        """
        known = np.unique(np.concatenate([gold, predicted]))
        order = sorted((label for label in known.tolist() if label != NOTHING), key=labels.__getitem__)
        new = np.full(len(labels) + 1, NOTHING)  # NOTHING is the last one
        new[order] = np.arange(len(order))
        docs, starts, ends = places
        return cls(unit, docs, starts, ends, new[gold], new[predicted], tuple(labels[place] for place in order))

    def of_docs(self, docs: Sequence[int]) -> "Decisions":
        """The decisions in some docs, which keep their indices."""
        return self.of_rows(np.isin(self.docs, docs))

    def of_rows(self, rows: NDArray[np.bool_]) -> "Decisions":
        """Some of the decisions. rows (n,): Which ones."""
        columns = {name: getattr(self, name)[rows] for name in ("docs", "starts", "ends", "gold", "predicted")}
        arguments = None if self.arguments is None else self.arguments[rows]
        return replace(self, **columns, arguments=arguments)
