"""The forward-backward recursions of a CRF on scaled probabilities, in double precision (Rabiner 1989).

Each step is one matrix product over the sequences that are still running. `log_lattice.py` has the same recursions on
logarithms, in the same order and with the same names.
"""

from dataclasses import dataclass

import numpy as np
from thinc.util import get_array_module

from ..protocols.arrays import ArrayT
from .linear_chain import CRFScores, Packing


@dataclass
class ScaledLattice:
    """The scaled forward and backward variables of all sequences, in packed order and double precision.

    packing (Packing): The order of the rows.
    alpha (Floats2d): Forward variables; each row sums to 1, (n_tokens, n_tags).
    beta (Floats2d): Backward variables; alpha * beta are the tag probabilities, (n_tokens, n_tags).
    step (Floats2d): exp(emission - maximum of its row) / scale * beta, (n_tokens, n_tags).
    moves (Floats2d): Exponentials of the transitions, (n_tags, n_tags).
    log_scale (Floats1d): Part of log Z that each token contributes, in nats, (n_tokens,).
    log_end (Floats1d): Part of log Z that the end of each sequence contributes, in nats, (n_running,).
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
        """log Z, summed over the sequences, in nats."""
        return float(self.log_scale.sum() + self.log_end.sum())

    def marginals(self, scores: CRFScores) -> CRFScores:
        """Return the expected tag counts: the gradient of the summed log Z, in the precision of the scores."""
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
        """Return log alpha, log beta and log step of these packed rows, (n_rows, n_tags) each."""
        xp = get_array_module(self.alpha)
        with np.errstate(divide="ignore"):
            return xp.log(self.alpha[rows]), xp.log(self.beta[rows]), xp.log(self.step[rows])


def scaled_lattice(
    packing: Packing, emissions: ArrayT, peak: ArrayT, transitions: ArrayT, starts: ArrayT, ends: ArrayT
) -> ScaledLattice:
    """Run the forward and the backward recursion on scaled probabilities. All arrays are in double precision.

    packing (Packing): The order of the rows.
    emissions (Floats2d): Constrained emissions in packed order, (n_tokens, n_tags).
    peak (Floats2d): The maximum of each of their rows, (n_tokens, 1).
    """
    xp = get_array_module(emissions)
    local = xp.exp(emissions - peak)
    moves, starts, ends = (xp.exp(part) for part in (transitions, starts, ends))
    alpha, scale = _run_forward(packing, local, moves, starts)
    at_end = alpha[packing.last] @ ends
    scaled = local / scale
    beta, step = _run_backward(packing, scaled, moves, ends[None] / at_end[:, None])
    log_scale = xp.log(scale[:, 0]) + peak[:, 0]
    return ScaledLattice(packing, alpha, beta, step, moves, log_scale, xp.log(at_end))


def _run_forward(packing: Packing, local: ArrayT, moves: ArrayT, starts: ArrayT) -> tuple[ArrayT, ArrayT]:
    """RETURNS: Alpha (n_tokens, n_tags) and the scale of each row (n_tokens, 1)."""
    xp = get_array_module(local)
    alpha, scale = xp.empty_like(local), xp.empty_like(local[:, :1])
    # Longest sequences come first, so those that run at a step are the first ones of the step before.
    here = slice(0, 0)
    for index, size in enumerate(packing.sizes.tolist()):
        before, here = slice(here.start, here.start + size), slice(here.stop, here.stop + size)
        arriving = alpha[before] @ moves if index else starts
        xp.multiply(arriving, local[here], out=alpha[here])
        alpha[here].sum(axis=1, keepdims=True, out=scale[here])
        alpha[here] /= scale[here]
    return alpha, scale


def _run_backward(packing: Packing, scaled: ArrayT, moves: ArrayT, at_end: ArrayT) -> tuple[ArrayT, ArrayT]:
    """Run the backward recursion.

    scaled (Floats2d): The local factors divided by the scales, (n_tokens, n_tags).
    at_end (Floats2d): Beta of the last token of each sequence, (n_running, n_tags).
    RETURNS: Beta, and scaled * beta.
    """
    xp = get_array_module(scaled)
    beta, step = xp.empty_like(scaled), xp.empty_like(scaled)
    beta[packing.last] = at_end
    after, stop = slice(0, 0), len(scaled)
    for size in packing.sizes[::-1].tolist():
        here = slice(stop - size, stop)
        n_after = after.stop - after.start
        # Longest sequences come first, so the first n_after rows go on. The others end here; their beta is set already.
        if n_after:
            xp.matmul(step[after], moves.T, out=beta[here.start : here.start + n_after])
        xp.multiply(scaled[here], beta[here], out=step[here])
        after, stop = here, here.start
    return beta, step
