"""A linear-chain conditional random field over batches of sequences of unequal length (Lafferty et al. 2001).

Tokens are packed by time step, longest sequence first. One step of a recursion is then one matrix product over the
sequences that are still running: there is no loop over sequences, and padding costs nothing. `scaled_lattice.py` has
the recursions, and `log_lattice.py` has them for potentials that lie too far apart for scaled probabilities.
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
# Numbers in an average time step (running sequences times tags) below which numpy is faster than a GPU. On an H100 both
# are level at 2,000 (300 tags, long sequences) to 9,000.
FEW_NUMBERS = 4096


@dataclass
class CRFScores:
    """Log-potentials of a batch in nats, or their gradient.

    emissions (Floats2d): Score of each tag at each token, (n_tokens, n_tags).
    transitions (Floats2d): Score of the step from the row's tag to the column's, (n_tags, n_tags).
    starts (Floats1d): Score of a sequence that begins with each tag, (n_tags,).
    ends (Floats1d): Score of a sequence that ends with each tag, (n_tags,).
    lengths (Ints1d): Number of tokens of each sequence, (n_docs,).
    kept (Ints1d): Index in the batch of each token of the sequences, which leave out white space, (n_tokens,).
    tags (Ints1d | None): The sequences to annotate if they are decoded already, (n_tokens,). The potentials are
        constrained then.
    possible (Bools2d | None): The tags that each token may have, if the docs restrict them, (n_tokens, n_tags).
        `constrain` applies it.
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
        """The four arrays that have gradients: emissions, transitions, starts and ends."""
        return self.emissions, self.transitions, self.starts, self.ends

    def with_potentials(self, potentials: Iterable[ArrayT]) -> "CRFScores":
        """Return the same sequences with other potentials, given in the order of `potentials`."""
        emissions, transitions, starts, ends = potentials
        return CRFScores(emissions, transitions, starts, ends, self.lengths, self.kept)


@dataclass
class Packing:
    """The order in which the tokens of a batch are packed: by time step and, within a step, longest sequence first.

    rows (Ints1d): The original row of each packed row, (n_tokens,).
    before (Ints1d): For each packed row after the first step, the packed row of the same sequence one step earlier,
        (n_tokens - n_running,).
    sizes (Ints1d): Number of sequences still running at each step, (n_steps,).
    order (Ints1d): The sequences that are not empty, longest first, (n_running,).
    last (Ints1d): Packed row of the last token of each of these, (n_running,).
    """

    rows: NDArray[np.int64]
    before: NDArray[np.int64]
    sizes: NDArray[np.int64]
    order: NDArray[np.int64]
    last: NDArray[np.int64]


def pack(lengths: NDArray[np.int64]) -> Packing:
    """Pack sequences that lie end to end by time step.

    lengths (Ints1d): Number of tokens of each sequence, (n_docs,).

    With lengths [2, 0, 3], doc 0 has the rows 0 and 1, doc 2 the rows 2, 3 and 4. Doc 2 is longer and comes first:
    order = [2, 0], sizes = [2, 2, 1], rows = [2, 0 | 3, 1 | 4], one group a step;
    before = [0, 1 | 2] for packed rows 2, 3 and 4; last = [4, 3], where doc 2 and doc 0 end.
    """
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
    """Build the layer that adds learned transition scores to emissions.

    Its input is a tuple of emissions (n_tokens, n_tags), lengths (n_docs,) and kept (n_tokens,); its output is the
    `CRFScores` of the batch. The scores of transitions, starts and ends begin at 0.

    n_tags (int | None): Number of tags; None if it is set before initialisation.
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
    """Set the scores of transitions, starts and ends to 0."""
    n_tags = model.get_dim("nO")
    model.set_param("transitions", model.ops.alloc2f(n_tags, n_tags))
    model.set_param("starts", model.ops.alloc1f(n_tags))
    model.set_param("ends", model.ops.alloc1f(n_tags))


def grown(model: CRFModelT, n_tags: int) -> CRFModelT:
    """Return a larger layer with the same potentials for the old tags and 0 for the new ones."""
    larger = crf(n_tags)
    larger.initialize()
    for name in model.param_names:
        old: ArrayT = model.get_param(name)
        new: ArrayT = larger.get_param(name)
        new[tuple(slice(n) for n in old.shape)] = old
    return larger


def constrain(scores: CRFScores, scheme: TagScheme) -> CRFScores:
    """Apply the constraints of the scheme and of the docs: the potential of what they forbid becomes minus infinity."""
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
    """Move the potentials to main memory if a GPU would spend more time on its calls than numpy on the arithmetic."""
    if scores.emissions.size > FEW_NUMBERS * scores.lengths.max(initial=0):
        return scores
    return scores.with_potentials(to_numpy(part) for part in scores.potentials)


def path_scores(scores: CRFScores, tags: NDArray[np.int64]) -> tuple[float, CRFScores]:
    """Return the log-potential of the given tags, summed over all sequences, and its gradient.

    tags (Ints1d): A tag for each token, (n_tokens,).
    RETURNS: The sum in nats, and how often each potential was used: the tag counts.

    For the sequences B I and O (tags 1, 2 and 0) the counts are 1 at transitions[1, 2], starts [1, 1, 0] and
    ends [1, 0, 1], and a 1 in each row of the emissions.
    """
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
