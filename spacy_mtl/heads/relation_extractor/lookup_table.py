"""A table of learned vectors, looked up by row."""

from collections.abc import Callable
from typing import Any

from thinc.api import Model
from thinc.types import Floats2d

from ...protocols.arrays import ArrayT, IntsT

TableT = Model[IntsT, Floats2d]


def lookup_table(n_rows: int | None = None, n_out: int | None = None) -> TableT:
    """Build the layer, rows (n,) -> vectors (n, n_out). The vectors start at 0.

    n_rows (int | None): Number of rows; None if it is set before initialisation.
    n_out (int | None): Width of the vectors; None if it is set before initialisation.
    """
    return Model("lookup_table", forward, init=init, dims={"nV": n_rows, "nO": n_out}, params={"E": None})


def forward(model: TableT, rows: IntsT, is_train: bool) -> tuple[Floats2d, Callable[[Floats2d], IntsT]]:
    """RETURNS: The vectors (n, nO), and backprop, which fills the table's gradient."""
    E: ArrayT = model.get_param("E")
    index = model.ops.xp.asarray(rows)

    def backprop(d_vectors: Floats2d) -> IntsT:
        model.inc_grad("E", add_rows(model, d_vectors, index, len(E)))
        return rows

    return E[index], backprop


def init(model: TableT, X: Any = None, Y: Any = None) -> None:
    """Set all vectors to 0."""
    model.set_param("E", model.ops.alloc2f(model.get_dim("nV"), model.get_dim("nO")))


def grown_table(model: TableT, n_out: int) -> TableT:
    """Return a table with wider vectors, the new numbers of which are 0."""
    E: ArrayT = model.get_param("E")
    larger = lookup_table(len(E), n_out)
    larger.initialize()
    wider: ArrayT = larger.get_param("E")
    wider[:, : E.shape[1]] = E
    return larger


def add_rows(model: Model[Any, Any], rows: ArrayT, index: ArrayT, size: int) -> ArrayT:
    """Add up the rows (n, width) that have the same index. RETURNS: (size, width)."""
    summed: ArrayT = model.ops.alloc2f(size, rows.shape[1])
    model.ops.scatter_add(summed, index.astype("int32"), model.ops.xp.ascontiguousarray(rows, dtype="float32"))
    return summed
