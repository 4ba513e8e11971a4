"""The forward-backward recursions of a CRF on logarithms, for potentials whose exponentials would underflow.

They are slower than the scaled recursions, by a factor of about the number of tags, since no step is a matrix product.
"""

from dataclasses import dataclass

import numpy as np
from thinc.util import get_array_module

from ..protocols.arrays import ArrayT
from .linear_chain import CRFScores, Packing

# numbers that are held in memory at once
STEP_SIZE = 2**22


@dataclass
class LogLattice:
    """The logs of the forward and backward variables of all sequences, in packed order and double precision.

    packing (Packing): The order of the rows.
    log_alpha (Floats2d): Forward variables; exp(log_alpha) sums to 1 in each row, (n_tokens, n_tags).
    log_beta (Floats2d): Backward variables; exp(log_alpha + log_beta) are the tag probabilities, (n_tokens, n_tags).
    log_step (Floats2d): emission - log_scale + log_beta, (n_tokens, n_tags).
    moves (Floats2d): Transitions in nats, (n_tags, n_tags).
    log_scale (Floats1d): Part of log Z that each token contributes, in nats, (n_tokens,).
    log_end (Floats1d): Part of log Z that the end of each sequence contributes, in nats, (n_running,).
    """

    packing: Packing
    log_alpha: ArrayT
    log_beta: ArrayT
    log_step: ArrayT
    moves: ArrayT
    log_scale: ArrayT
    log_end: ArrayT

    @property
    def log_partition(self) -> float:
        """log Z, summed over the sequences, in nats."""
        return float(self.log_scale.sum() + self.log_end.sum())

    def marginals(self, scores: CRFScores) -> CRFScores:
        """Return the expected tag counts: the gradient of the summed log Z, in the precision of the scores."""
        xp = get_array_module(self.log_alpha)
        probabilities = xp.exp(self.log_alpha + self.log_beta)
        emissions = xp.zeros_like(scores.emissions)
        emissions[self.packing.rows] = probabilities
        n_first = int(self.packing.sizes[0])
        transitions = xp.zeros_like(self.moves)
        before, step = self.log_alpha[self.packing.before], self.log_step[n_first:]
        for part in _parts(len(before), self.moves.size):
            transitions += xp.exp(before[part, :, None] + self.moves + step[part, None]).sum(axis=0)
        dtype = scores.emissions.dtype
        starts, ends = probabilities[:n_first].sum(axis=0), probabilities[self.packing.last].sum(axis=0)
        return scores.with_potentials([emissions, *(part.astype(dtype) for part in (transitions, starts, ends))])

    def logs(self, rows: ArrayT) -> tuple[ArrayT, ArrayT, ArrayT]:
        """Return log alpha, log beta and log step of these packed rows, (n_rows, n_tags) each."""
        return self.log_alpha[rows], self.log_beta[rows], self.log_step[rows]


def log_lattice(packing: Packing, emissions: ArrayT, moves: ArrayT, starts: ArrayT, ends: ArrayT) -> LogLattice:
    """Run the forward and the backward recursion on logarithms.

    packing (Packing): The order of the rows.
    emissions (Floats2d): Constrained emissions in packed order, in double precision, (n_tokens, n_tags).
    moves (Floats2d): Constrained transitions, (n_tags, n_tags).
    """
    log_alpha, log_scale = _run_forward(packing, emissions, moves, starts)
    log_end = log_sum(log_alpha[packing.last] + ends, axis=1)
    scaled = emissions - log_scale
    log_beta, log_step = _run_backward(packing, scaled, moves, ends - log_end[:, None])
    return LogLattice(packing, log_alpha, log_beta, log_step, moves, log_scale[:, 0], log_end)


def _run_forward(packing: Packing, emissions: ArrayT, moves: ArrayT, starts: ArrayT) -> tuple[ArrayT, ArrayT]:
    """RETURNS: log alpha (n_tokens, n_tags) and the log of the scale of each row (n_tokens, 1)."""
    xp = get_array_module(emissions)
    log_alpha, log_scale = xp.empty_like(emissions), xp.empty_like(emissions[:, :1])
    here = slice(0, 0)
    for index, size in enumerate(packing.sizes.tolist()):
        before, here = slice(here.start, here.start + size), slice(here.stop, here.stop + size)
        arriving = _log_product(log_alpha[before], moves) if index else starts
        found = arriving + emissions[here]
        log_scale[here] = log_sum(found, axis=1)[:, None]
        log_alpha[here] = found - log_scale[here]
    return log_alpha, log_scale


def _run_backward(packing: Packing, scaled: ArrayT, moves: ArrayT, at_end: ArrayT) -> tuple[ArrayT, ArrayT]:
    """Run the backward recursion.

    scaled (Floats2d): Emissions less the logs of the scales, (n_tokens, n_tags).
    at_end (Floats2d): Log beta of the last token of each sequence, (n_running, n_tags).
    RETURNS: log beta, and scaled + log beta.
    """
    xp = get_array_module(scaled)
    log_beta, log_step = xp.empty_like(scaled), xp.empty_like(scaled)
    log_beta[packing.last] = at_end
    after, stop = slice(0, 0), len(scaled)
    for size in packing.sizes[::-1].tolist():
        here = slice(stop - size, stop)
        n_after = after.stop - after.start
        # Longest sequences come first, so the first n_after rows go on. The others end here; their beta is set already.
        if n_after:
            log_beta[here.start : here.start + n_after] = _log_product(log_step[after], moves.T)
        log_step[here] = scaled[here] + log_beta[here]
        after, stop = here, here.start
    return log_beta, log_step


def _log_product(rows: ArrayT, moves: ArrayT) -> ArrayT:
    """Compute log(exp(rows) @ exp(moves)) for rows (n, k) and moves (k, m), (n, m)."""
    xp = get_array_module(rows)
    parts = [log_sum(rows[part, :, None] + moves, axis=1) for part in _parts(len(rows), moves.size)]
    return xp.concatenate(parts)


def log_sum(values: ArrayT, *, axis: int) -> ArrayT:
    """Compute the log of the sum of exp(values) along an axis; minus infinity where all values are."""
    xp = get_array_module(values)
    peak = values.max(axis=axis, keepdims=True)
    peak = xp.where(peak > -np.inf, peak, 0.0)
    with np.errstate(divide="ignore"):
        return xp.log(xp.exp(values - peak).sum(axis=axis)) + peak.squeeze(axis)


def _parts(n_rows: int, size: int) -> list[slice]:
    """Cut `n_rows` rows of `size` numbers each into slices of at most `STEP_SIZE` numbers, but at least one row."""
    step = max(STEP_SIZE // size, 1)
    return [slice(start, start + step) for start in range(0, n_rows, step)]
