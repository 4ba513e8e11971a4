"""What the fast encoder keeps from one batch to the next: its nodes, its weights, and the vectors of words."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np
from thinc.api import Model, Ops

from .kernels import ModelArrayT

MAX_BYTES = 2**25
# parameters with no more numbers than this are compared in full
SMALL = 1024


class WordCache:
    """Rows of a table by the hash of a word, as long as no parameter changes.

    An optimizer changes arrays in place, so each batch compares a sample of every parameter with that of the last: all
    of a small one, and of a large one at least one number in every row. A copy or a pickle of the cache is empty.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.network: Any = None
        self.weights: Any = None
        self.params: list[ModelArrayT] = []
        self.views: list[Any] = []
        self.sample: Any = None
        self.clear()

    def __deepcopy__(self, memo: Any) -> "WordCache":
        return WordCache()

    def __reduce__(self) -> tuple[Any, ...]:
        return WordCache, ()

    def clear(self) -> None:
        """Forget all words."""
        self.rows: dict[int, int] = {}
        self.tables: list[Any] = []

    def read_network(self, model: Model[Any, Any], find: Callable[[Model[Any, Any]], Any]) -> Any:
        """What `find` gave for this model, which is the node that the cache belongs to."""
        if self.network is None or self.network.root is not model:
            self.network = find(model)
        return self.network

    def read_weights(self, params: list[ModelArrayT], read: Callable[[], Any], *, ops: Ops, width: int) -> Any:
        """What `read` gave, called anew if a parameter is another array or has changed.

        width (int): Of the vectors. No large parameter has shorter rows.
        """
        with self.lock:
            if len(params) != len(self.params) or any(a is not b for a, b in zip(params, self.params, strict=True)):
                self.params, self.sample = params, None
                self.views = [_view(param, width) for param in params]
            sample = ops.xp.concatenate(self.views)
            if self.sample is None or not (sample == self.sample).all():
                self.sample = sample
                self.weights = read()
                self.clear()
            return self.weights

    def look_up(
        self, keys: Any, compute: Callable[[Any], Sequence[Any]], *, widths: Sequence[int], ops: Ops
    ) -> tuple[Any, Sequence[Any]]:
        """Find each word's row, computing what is missing.

        keys (Ints1d): The words' hashes, (n_words,), distinct.
        compute: Positions in `keys` -> for each table the rows of these words, (n_missing, width).
        widths (Sequence[int]): Of the tables.
        RETURNS: The row of each word, and the tables. Row 0 is all zeros.
        """
        capacity = MAX_BYTES // (4 * sum(widths))
        with self.lock:
            if len(self.rows) + len(keys) > capacity or not self.tables:
                # Another thread may still read the old tables, so they are not filled anew.
                self.clear()
                self.tables = [ops.xp.empty((max(capacity, len(keys)) + 1, n), dtype="float32") for n in widths]
                for table in self.tables:
                    table[0] = 0.0
            rows = np.array([self.rows.get(key, 0) for key in keys.tolist()])
            missing = np.flatnonzero(rows == 0)
            if len(missing):
                start = len(self.rows) + 1
                end = start + len(missing)
                rows[missing] = np.arange(start, end)
                for table, values in zip(self.tables, compute(missing), strict=True):
                    table[start:end] = values
                self.rows.update(zip(keys[missing].tolist(), range(start, end), strict=True))
            return rows, self.tables


def _view(param: ModelArrayT, width: int) -> ModelArrayT:
    """A sample that changes with the parameter, whose rows, if it is large, are at least `width` long."""
    flat = param.ravel(order="K")
    return flat if param.size <= SMALL else flat[:: max(1, width - 1)]
