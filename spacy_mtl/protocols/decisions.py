"""What a head decided, beside the gold annotation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

IntsT = NDArray[np.int64]
# index of the doc, first token, end (exclusive), gold label, predicted label; None for "nothing here"
RowT = tuple[int, int, int, str | None, str | None]
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
    """

    unit: str
    docs: IntsT
    starts: IntsT
    ends: IntsT
    gold: IntsT
    predicted: IntsT
    names: tuple[str, ...]

    @classmethod
    def from_rows(cls, unit: str, rows: Iterable[RowT]) -> "Decisions":
        """Make the arrays from rows; the names are the labels that occur, in alphabetical order."""
        listed = list(rows)
        names = sorted({label for row in listed for label in row[3:] if isinstance(label, str)})
        index: dict[str | None, int] = {name: place for place, name in enumerate(names)} | {None: NOTHING}
        flat = chain.from_iterable((*row[:3], index[row[3]], index[row[4]]) for row in listed)
        docs, starts, ends, gold, predicted = np.fromiter(flat, dtype="int64", count=5 * len(listed)).reshape(-1, 5).T
        return cls(unit, docs, starts, ends, gold, predicted, tuple(names))

    def of_docs(self, docs: Sequence[int]) -> "Decisions":
        """The decisions in some docs, which keep their indices."""
        rows = np.isin(self.docs, docs)
        columns = {name: getattr(self, name)[rows] for name in ("docs", "starts", "ends", "gold", "predicted")}
        return replace(self, **columns)
