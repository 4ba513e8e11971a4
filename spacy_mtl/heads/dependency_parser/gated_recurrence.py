"""A bidirectional recurrent layer whose only work in each time step is a weighted mean.

State t is (1 - z) * state (t - 1) + z * candidate. Gate z and candidate come from the token alone: this is the minimal
GRU (Feng et al. 2024, "Were RNNs All We Needed?"), and the core of the simple recurrent unit (Lei et al. 2018). All
matrix products are thus over all tokens at once. Both directions of all docs run in one loop over time steps, the
longest doc first.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from thinc.api import Model
from thinc.types import Floats2d, Ragged
from thinc.util import get_array_module, to_numpy

from ...layers.linear import linear
from ...layers.ragged_rows import first_rows, row_owners
from ...layers.softmax import sigmoid
from ...protocols.arrays import ArrayT, IntsT

RecurrenceT = Model[Ragged, Floats2d]
# Least and greatest number of tokens over which a number of the state is a mean at first. With gates of one half, all
# would be means of two, and a network that has to learn to look further starts slowly (Tallec and Ollivier 2018).
MEMORY = (1.3, 20.0)


def gated_recurrence(width: int) -> RecurrenceT:
    """Build the layer: Ragged (n_tokens, n_in) -> (n_tokens, 2 * width): what is left of each token, and right of it.

    width (int): Width of each direction.
    """
    return Model("gated_recurrence", forward, init=init, layers=[linear(4 * width)], dims={"nO": 2 * width})


def forward(model: RecurrenceT, X: Ragged, is_train: bool) -> tuple[Floats2d, Callable[[Floats2d], Ragged]]:
    """RETURNS: Y (n_tokens, 2 * width) and backprop: dY -> Ragged (n_tokens, n_in)."""
    outputs, bp_outputs = model.layers[0](X.dataXd, is_train)
    size = model.get_dim("nO")
    rows, sizes = _pack(to_numpy(X.lengths))
    both = _both_directions(outputs, rows)
    gates, candidates = sigmoid(both[:, :size]), both[:, size:]
    states, bp_states = _scan(gates, candidates, sizes)
    Y = _undo(states, rows)

    def backprop(dY: Floats2d) -> Ragged:
        d_gates, d_candidates = bp_states(_halves(dY, rows))
        xp = get_array_module(dY)
        d_both = xp.concatenate([d_gates * gates * (1.0 - gates), d_candidates], axis=1)
        return Ragged(bp_outputs(_undo_both(d_both, rows)), X.lengths)

    return Y, backprop


def init(model: RecurrenceT, X: Ragged | None = None, Y: Any = None) -> None:
    """Set the input width from the sample, and draw the weights. States remember from one to twenty tokens at first."""
    model.layers[0].initialize(None if X is None else X.dataXd)
    size = model.get_dim("nO")
    memory = np.exp(np.random.uniform(math.log(MEMORY[0]), math.log(MEMORY[1]), size=size))
    # a gate of z makes a mean of 1 / z tokens
    gates: ArrayT = -np.log(memory - 1.0).astype("f")
    bias: ArrayT = model.layers[0].get_param("b")
    bias[:size] = model.ops.asarray(gates)


def _pack(lengths: IntsT) -> tuple[tuple[IntsT, IntsT], list[int]]:
    """Order tokens by time step, the longest doc first.

    RETURNS: the token of each packed row, for the direction from the left and the one from the right, (n_tokens,) each;
        and the number of docs that are still running in each step.

    With lengths [1, 3] the steps have the rows [1, 0 | 2 | 3] from the left, [3, 0 | 2 | 1] from the right, and the
    sizes [2, 1, 1].
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    running = lengths[order]
    sizes = np.bincount(running)[1:][::-1].cumsum()[::-1] if len(running) else np.zeros(0, dtype="int64")
    steps = row_owners(sizes)
    docs = order[np.arange(len(steps)) - first_rows(sizes)[steps]]
    starts = first_rows(lengths)[docs]
    return (starts + steps, starts + lengths[docs] - 1 - steps), sizes.tolist()


def _scan(
    gates: ArrayT, candidates: ArrayT, sizes: list[int]
) -> tuple[ArrayT, Callable[[ArrayT], tuple[ArrayT, ArrayT]]]:
    """Run the recurrence over packed rows, (n_tokens, width). RETURNS: the states, and backprop."""
    xp = get_array_module(gates)
    states = xp.empty_like(candidates)
    moves = xp.empty_like(candidates)
    state = xp.zeros((sizes[0] if sizes else 0, candidates.shape[1]), dtype=candidates.dtype)
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        move, state = moves[part], state[:size]
        xp.subtract(candidates[part], state, out=move)
        state = xp.add(state, gates[part] * move, out=states[part])
        start += size

    def backprop(d_states: ArrayT) -> tuple[ArrayT, ArrayT]:
        total = d_states.copy()
        kept = 1.0 - gates
        end = len(total)
        for size, before in zip(sizes[:0:-1], sizes[-2::-1], strict=True):
            begin = end - size
            total[begin - before : begin - before + size] += total[begin:end] * kept[begin:end]
            end = begin
        return total * moves, total * gates

    return states, backprop


def _columns(array: ArrayT, quarter: int) -> ArrayT:
    width = array.shape[1] // 4
    return array[:, quarter * width : (quarter + 1) * width]


def _both_directions(outputs: ArrayT, rows: tuple[IntsT, IntsT]) -> ArrayT:
    """Pack (gates, candidates), of which each has a half for each direction, (n_tokens, 4 * width)."""
    xp = get_array_module(outputs)
    left, right = map(xp.asarray, rows)
    column = partial(_columns, outputs)
    return xp.concatenate([column(0)[left], column(1)[right], column(2)[left], column(3)[right]], axis=1)


def _undo_both(packed: ArrayT, rows: tuple[IntsT, IntsT]) -> ArrayT:
    """Undo `_both_directions`."""
    xp = get_array_module(packed)
    result = xp.empty_like(packed)
    for quarter in range(4):
        _columns(result, quarter)[xp.asarray(rows[quarter % 2])] = _columns(packed, quarter)
    return result


def _halves(array: ArrayT, rows: tuple[IntsT, IntsT]) -> ArrayT:
    """Pack what has a half for each direction, (n_tokens, 2 * width)."""
    xp = get_array_module(array)
    width = array.shape[1] // 2
    return xp.concatenate([array[:, :width][xp.asarray(rows[0])], array[:, width:][xp.asarray(rows[1])]], axis=1)


def _undo(packed: ArrayT, rows: tuple[IntsT, IntsT]) -> ArrayT:
    """Undo `_halves`."""
    xp = get_array_module(packed)
    width = packed.shape[1] // 2
    result = xp.empty_like(packed)
    result[:, :width][xp.asarray(rows[0])] = packed[:, :width]
    result[:, width:][xp.asarray(rows[1])] = packed[:, width:]
    return result
