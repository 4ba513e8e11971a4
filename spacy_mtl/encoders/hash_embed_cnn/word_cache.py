"""The cache of the fast encoder from one batch to the next: its nodes, its weights, and the vectors of words."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np
from thinc.api import Model, Ops

from .kernels import ModelArrayT

MAX_BYTES = 2**25
# Parameters of up to this many numbers are compared in full.
SMALL = 1024


class WordCache:
    """A table of vectors by the hash of the word, valid as long as no parameter changes.

    An optimizer changes arrays in place. Therefore each batch compares a sample of every parameter with the sample of
    the batch before: all numbers of a small parameter, and at least one number in each row of a large one. A copy or a
    pickle of the cache is empty.
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
        """Remove all words."""
        self.rows: dict[int, int] = {}
        self.tables: list[Any] = []

    def read_network(self, model: Model[Any, Any], find: Callable[[Model[Any, Any]], Any]) -> Any:
        """Return the result of `find` for this model, which owns the cache. It is called once."""
        if self.network is None or self.network.root is not model:
            self.network = find(model)
        return self.network

    def read_weights(self, params: list[ModelArrayT], read: Callable[[], Any], *, ops: Ops, width: int) -> Any:
        """Return the result of `read`, which is called again if a parameter is another array or has changed.

        params (list): All parameters.
        read (Callable): Function that copies the weights.
        ops (Ops): The model's ops.
        width (int): Width of the vectors. No large parameter has shorter rows.
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
        """Look up the row of each word, and compute those that are missing.

        keys (Ints1d): The hashes of the words, without repetition, (n_words,).
        compute (Callable): Function from indices into `keys` to the rows of these words, (n_missing, width), for each
            table.
        widths (Sequence[int]): Width of each table.
        ops (Ops): The model's ops.
        RETURNS: The row of each word, (n_words,), and the tables. Row 0 of a table is all zeros.
        """
        capacity = MAX_BYTES // (4 * sum(widths))
        with self.lock:
            if len(self.rows) + len(keys) > capacity or not self.tables:
                # New tables, since another thread may still read the old ones.
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
    """Return a view of a sample of the parameter. The rows of a large parameter must be at least `width` long."""
    flat = param.ravel(order="K")
    return flat if param.size <= SMALL else flat[:: max(1, width - 1)]
