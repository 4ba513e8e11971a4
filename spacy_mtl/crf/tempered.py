"""A CRF at a temperature: all potentials are divided by it, so that the best tags stay the best."""

from dataclasses import dataclass, replace

import numpy as np
from thinc.util import to_numpy

from ..protocols.arrays import BoolsT, FloatsT, IntsT
from .linear_chain import CRFScores
from .path_probability import log_partitions
from .span_probability import span_probabilities


def at_temperature(scores: CRFScores, temperature: float) -> CRFScores:
    """Divide constrained potentials by a temperature, in main memory and double precision."""
    if temperature == 1.0:
        return scores
    emissions, transitions, starts, ends = (to_numpy(part).astype("d") / temperature for part in scores.potentials)
    return replace(scores, emissions=emissions, transitions=transitions, starts=starts, ends=ends)


def agreeing_logs(scores: CRFScores, possible: BoolsT) -> FloatsT:
    """Compute the log-probability that the tags of each doc are among some, (n_docs,), at most 0.

    scores (CRFScores): Constrained potentials.
    possible (BoolsT): The tags that each token may have, (n_tokens, n_tags).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = log_partitions(scores, possible=possible) - log_partitions(scores)
    return np.minimum(np.where(np.isnan(logs), -np.inf, logs), 0.0)


@dataclass(frozen=True)
class ChainEvidence:
    """Decoded spans of docs beside their gold tags, as an `Evidence`.

    docs (IntsT): The example of each span, (n_spans,).
    correct (BoolsT): Whether gold has the span, (n_spans,).
    scores (CRFScores): Constrained potentials of the docs.
    tags (IntsT): The decoded tags, (n_tokens,).
    starts, ends (IntsT): The row of each span's first token, and the row after its last, (n_spans,).
    possible (BoolsT): The tags that agree with the gold, (n_tokens, n_tags).
    annotated (BoolsT): The docs with gold of which the head knows all types, (n_docs,).
    """

    docs: IntsT
    correct: BoolsT
    scores: CRFScores
    tags: IntsT
    starts: IntsT
    ends: IntsT
    possible: BoolsT
    annotated: BoolsT
    unit: str = "entities"

    def probabilities(self, temperature: float) -> FloatsT:
        """The probability of each span."""
        return span_probabilities(at_temperature(self.scores, temperature), self.tags, self.starts, self.ends)

    def losses(self, temperature: float) -> FloatsT:
        """The negative log-likelihood of the gold tags of each doc."""
        losses: FloatsT = -agreeing_logs(at_temperature(self.scores, temperature), self.possible)[self.annotated]
        return losses[np.isfinite(losses)]
