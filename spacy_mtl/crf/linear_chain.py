"""A linear-chain conditional random field over batches of sequences of unequal length (Lafferty et al. 2001).

Sequences are packed by time step, longest first, so that one step of a recursion is one matrix product over the
sequences that are still running, with no loop over sequences and no work for padding. The recursions run in scaled
probability space (Rabiner 1989), in double precision; `log_lattice` has them for potentials too far apart for that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from thinc.api import Model
from thinc.types import Floats2d, Ints1d
from thinc.util import get_array_module, to_numpy

from ..layers.ragged_rows import first_rows, row_owners
from ..protocols.arrays import ArrayT
from .tag_scheme import TagScheme

CRFModelT = Model[Floats2d, "CRFScores"]
# sequences of an average step times tags; on an H100 numpy is as fast with 2,000 (300 tags, long sequences) to 9,000
FEW_NUMBERS = 4096


@dataclass
class CRFScores:
    """Log-potentials in nats, or their gradient.

    emissions (n_tokens, n_tags), transitions (n_tags, n_tags) from row to column, starts and ends (n_tags,).
    lengths (n_docs,): tokens of each sequence.
    kept (n_tokens,): index in the batch of each token of the sequences; white space is left out of them.
    tags (n_tokens,): the sequences to annotate, if they are decided already; the potentials are constrained then.
    possible (n_tokens, n_tags): which tags each token may have, if the docs restrict them; `constrain` applies it.
    """

    emissions: ArrayT
    transitions: ArrayT
    starts: ArrayT
    ends: ArrayT
    lengths: ArrayT
    kept: ArrayT
    tags: NDArray[np.int64] | None = None
    possible: NDArray[np.bool_] | None = None

    def __mul__(self, factor: float) -> "CRFScores":
        return self.with_potentials(part * factor for part in self.potentials)

    def __add__(self, other: "CRFScores") -> "CRFScores":
        pairs = zip(self.potentials, other.potentials, strict=True)
        return self.with_potentials(mine + theirs for mine, theirs in pairs)

    @property
    def potentials(self) -> tuple[ArrayT, ArrayT, ArrayT, ArrayT]:
        """The four arrays that have gradients."""
        return self.emissions, self.transitions, self.starts, self.ends

    def with_potentials(self, potentials: Iterable[ArrayT]) -> "CRFScores":
        """The same sequences with other potentials, in the order of `potentials`."""
        emissions, transitions, starts, ends = potentials
        return CRFScores(emissions, transitions, starts, ends, self.lengths, self.kept)


@dataclass
class Packing:
    """Rows of sequences laid end to end, ordered by time step and, within one, by falling length of the sequence.

    rows (n_tokens,): the original row of each packed row. before (n_tokens - n_first,): for each packed row after the
    first step, the packed row of the same sequence one step earlier. sizes (n_steps,): sequences running at each
    step. order (n_running,): the non-empty sequences, longest first. last (n_running,): packed row of each one's end.
    """

    rows: NDArray[np.int64]
    before: NDArray[np.int64]
    sizes: NDArray[np.int64]
    order: NDArray[np.int64]
    last: NDArray[np.int64]


def pack(lengths: NDArray[np.int64]) -> Packing:
    """Order the rows of sequences with these lengths (n_docs,) by time step."""
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    running = lengths[order]
    sizes = np.bincount(running)[1:][::-1].cumsum()[::-1] if len(running) else np.zeros(0, dtype=np.int64)
    offsets = first_rows(sizes)
    step = row_owners(sizes)
    sequence = np.arange(len(step)) - offsets[step]
    starts = first_rows(lengths)[order]
    later = step > 0
    before = offsets[step[later] - 1] + sequence[later]
    return Packing(starts[sequence] + step, before, sizes, order, offsets[running - 1] + np.arange(len(running)))


def crf(n_tags: int | None = None) -> CRFModelT:
    """Build the layer that adds learned transitions to emissions.

    Its input is (emissions (n_tokens, n_tags), lengths (n_docs,), kept (n_tokens,)), its output CRFScores.
    """
    params: dict[str, Any] = {"transitions": None, "starts": None, "ends": None}
    return Model("crf", forward, init=init, dims={"nO": n_tags}, params=params)


def forward(model: CRFModelT, X: tuple[Floats2d, Ints1d, Ints1d], is_train: bool) -> tuple[CRFScores, Any]:
    """RETURNS: the scores and backprop: d_scores -> d_emissions (n_tokens, n_tags)."""
    emissions, lengths, kept = X
    transitions, starts, ends = (model.get_param(name) for name in model.param_names)

    def backprop(d_scores: CRFScores) -> Floats2d:
        for name, gradient in zip(model.param_names, d_scores.potentials[1:], strict=True):
            model.inc_grad(name, gradient)
        return d_scores.emissions

    return CRFScores(emissions, transitions, starts, ends, lengths, kept), backprop


def init(model: CRFModelT, X: Any = None, Y: Any = None) -> None:
    """Start with equal transitions."""
    n_tags = model.get_dim("nO")
    model.set_param("transitions", model.ops.alloc2f(n_tags, n_tags))
    model.set_param("starts", model.ops.alloc1f(n_tags))
    model.set_param("ends", model.ops.alloc1f(n_tags))


def grown(model: CRFModelT, n_tags: int) -> CRFModelT:
    """A larger layer with the same potentials between the old tags and zero for the new ones."""
    larger = crf(n_tags)
    larger.initialize()
    for name in model.param_names:
        old: ArrayT = model.get_param(name)
        new: ArrayT = larger.get_param(name)
        new[tuple(slice(n) for n in old.shape)] = old
    return larger


def constrain(scores: CRFScores, scheme: TagScheme) -> CRFScores:
    """Make tag sequences that the scheme or the docs forbid impossible: their potentials become minus infinity."""
    xp = get_array_module(scores.emissions)
    emissions = scores.emissions
    if scores.possible is not None:
        emissions = xp.where(xp.asarray(scores.possible), emissions, -np.inf)
    return CRFScores(
        emissions,
        xp.where(xp.asarray(scheme.allowed), scores.transitions, -np.inf),
        xp.where(xp.asarray(scheme.starts), scores.starts, -np.inf),
        xp.where(xp.asarray(scheme.ends), scores.ends, -np.inf),
        scores.lengths,
        scores.kept,
    )


def to_cpu_if_small(scores: CRFScores) -> CRFScores:
    """In main memory, if a step is so small that a GPU would spend more time on calls than numpy on arithmetic."""
    if scores.emissions.size > FEW_NUMBERS * scores.lengths.max(initial=0):
        return scores
    return scores.with_potentials(to_numpy(part) for part in scores.potentials)


def path_scores(scores: CRFScores, tags: NDArray[np.int64]) -> tuple[float, CRFScores]:
    """Sum over the sequences of the log-potential of their tags (n_tokens,), and its gradient: tag counts."""
    xp = get_array_module(scores.emissions)
    counts = scores.with_potentials(xp.zeros_like(part) for part in scores.potentials)
    lengths = scores.lengths[scores.lengths > 0]
    first = first_rows(lengths)
    last = first + lengths - 1
    followed = np.ones(len(tags), dtype=bool)
    followed[last] = False
    before = np.flatnonzero(followed)
    indices = ((np.arange(len(tags)), tags), (tags[before], tags[before + 1]), (tags[first],), (tags[last],))
    total = xp.zeros((), dtype="d")
    for potential, count, of_potential in zip(scores.potentials, counts.potentials, indices, strict=True):
        rows = tuple(xp.asarray(index) for index in of_potential)
        total = total + potential[rows].sum(dtype="d")
        xp.add.at(count, rows, 1.0)
    return float(total), counts


@dataclass
class Lattice:
    """The scaled forward and backward variables of all sequences in packed order, all in double precision.

    alpha, beta (n_tokens, n_tags): alpha sums to 1 in each row, alpha * beta are the tag probabilities.
    step (n_tokens, n_tags): exp(emission - its row's maximum) / scale * beta.
    moves (n_tags, n_tags): exponentiated transitions.
    log_scale (n_tokens,): log of what each step was divided by; log_end (n_docs running,): the end's part of log Z.
    """

    packing: Packing
    alpha: ArrayT
    beta: ArrayT
    step: ArrayT
    moves: ArrayT
    log_scale: ArrayT
    log_end: ArrayT

    @property
    def log_partition(self) -> float:
        """Sum over the sequences of log Z, in nats."""
        return float(self.log_scale.sum() + self.log_end.sum())

    def marginals(self, scores: CRFScores) -> CRFScores:
        """Expected tag counts: the gradient of the summed log Z, in the scores' precision."""
        xp = get_array_module(self.alpha)
        probabilities = self.alpha * self.beta
        emissions = xp.zeros_like(scores.emissions)
        emissions[self.packing.rows] = probabilities
        n_first = int(self.packing.sizes[0]) if len(self.packing.sizes) else 0
        transitions = self.moves * (self.alpha[self.packing.before].T @ self.step[n_first:])
        dtype = scores.emissions.dtype
        return CRFScores(
            emissions,
            transitions.astype(dtype),
            probabilities[:n_first].sum(axis=0).astype(dtype),
            probabilities[self.packing.last].sum(axis=0).astype(dtype),
            scores.lengths,
            scores.kept,
        )

    def logs(self, rows: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT]:
        """log alpha, log beta and log step of these packed rows, each (n_rows, n_tags)."""
        xp = get_array_module(self.alpha)
        with np.errstate(divide="ignore"):
            return xp.log(self.alpha[rows]), xp.log(self.beta[rows]), xp.log(self.step[rows])


def scaled_lattice(
    packing: Packing, emissions: ArrayT, peak: ArrayT, transitions: ArrayT, starts: ArrayT, ends: ArrayT
) -> Lattice:
    """Run both recursions.

    emissions (n_tokens, n_tags), peak (n_tokens, 1): in packed order, with the maximum of each row. All in double
    precision.
    """
    xp = get_array_module(emissions)
    local = xp.exp(emissions - peak)
    moves, starts, ends = (xp.exp(part) for part in (transitions, starts, ends))
    alpha, scale = _run_forward(packing, local, moves, starts)
    at_end = alpha[packing.last] @ ends
    scaled = local / scale
    beta, step = _run_backward(packing, scaled, moves, ends[None] / at_end[:, None])
    log_scale = xp.log(scale[:, 0]) + peak[:, 0]
    return Lattice(packing, alpha, beta, step, moves, log_scale, xp.log(at_end))


def _run_forward(packing: Packing, local: ArrayT, moves: ArrayT, starts: ArrayT) -> tuple[ArrayT, ArrayT]:
    """RETURNS: alpha (n_tokens, n_tags) and the scale of each row (n_tokens, 1)."""
    xp = get_array_module(local)
    alpha, scale = xp.empty_like(local), xp.empty_like(local[:, :1])
    here = slice(0, 0)
    for index, size in enumerate(packing.sizes.tolist()):
        before, here = slice(here.start, here.start + size), slice(here.stop, here.stop + size)
        arriving = alpha[before] @ moves if index else starts
        xp.multiply(arriving, local[here], out=alpha[here])
        alpha[here].sum(axis=1, keepdims=True, out=scale[here])
        alpha[here] /= scale[here]
    return alpha, scale


def _run_backward(packing: Packing, scaled: ArrayT, moves: ArrayT, at_end: ArrayT) -> tuple[ArrayT, ArrayT]:
    """scaled (n_tokens, n_tags): the local factors divided by the scales; at_end (n_docs running, n_tags): beta of
    each sequence's last token. RETURNS: beta and scaled * beta.
    """
    xp = get_array_module(scaled)
    beta, step = xp.empty_like(scaled), xp.empty_like(scaled)
    beta[packing.last] = at_end
    after, stop = slice(0, 0), len(scaled)
    for size in packing.sizes[::-1].tolist():
        here = slice(stop - size, stop)
        n_after = after.stop - after.start
        if n_after:
            xp.matmul(step[after], moves.T, out=beta[here.start : here.start + n_after])
        xp.multiply(scaled[here], beta[here], out=step[here])
        after, stop = here, here.start
    return beta, step
