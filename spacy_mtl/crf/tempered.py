"""A CRF at a temperature: all potentials are divided by it, so that the best tags stay the best."""

from dataclasses import dataclass, replace

import numpy as np
from thinc.util import to_numpy

from ..protocols.arrays import BoolsT, FloatsT, IntsT
from .linear_chain import CRFScores
from .path_probability import log_partitions, path_probabilities
from .span_probability import span_probabilities

# the kinds of probability that an entity recognizer gives: of single spans, and of all of a doc together
ENTITIES, DOCS = "entities", "docs"
# the nearest that a probability comes to 0 and to 1
NEAR = 1e-12


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
class SpanEvidence:
    """Decoded spans, of which each is right or wrong, as an `Evidence`. The likelihood is that of being right or wrong:
    the temperature at which gold tags are likeliest as a whole suits whole docs, and can be far from what suits spans.

    docs (IntsT): The example of each span, (n_spans,).
    correct (BoolsT): Whether gold has the span, (n_spans,).
    scores (CRFScores): Constrained potentials of all docs.
    tags (IntsT): The decoded tags, (n_tokens,).
    starts, ends (IntsT): The row of each span's first token, and the row after its last, (n_spans,).
    """

    docs: IntsT
    correct: BoolsT
    scores: CRFScores
    tags: IntsT
    starts: IntsT
    ends: IntsT
    unit: str = ENTITIES

    def probabilities(self, temperature: float) -> FloatsT:
        """The probability of each span."""
        return span_probabilities(at_temperature(self.scores, temperature), self.tags, self.starts, self.ends)

    def losses(self, temperature: float) -> FloatsT:
        """The negative log-likelihood that each span is as right as it is."""
        probabilities = self.probabilities(temperature).clip(NEAR, 1.0 - NEAR)
        losses: FloatsT = -np.log(np.where(self.correct, probabilities, 1.0 - probabilities))
        return losses


@dataclass(frozen=True)
class ChainEvidence:
    """The decoded tags of whole docs, as an `Evidence`.

    docs (IntsT): The docs with gold, (n_chosen,).
    right (BoolsT): Whether the tags of each doc of the batch are right, (n_docs,).
    scores (CRFScores): Constrained potentials of all docs.
    tags (IntsT): The decoded tags, (n_tokens,).
    possible (BoolsT): The tags that agree with the gold, (n_tokens, n_tags).
    is_known (BoolsT): Whether the head knows all types of each doc of the batch, (n_docs,).
    """

    docs: IntsT
    right: BoolsT
    scores: CRFScores
    tags: IntsT
    possible: BoolsT
    is_known: BoolsT
    unit: str = DOCS

    @property
    def correct(self) -> BoolsT:
        """Whether the tags of each doc with gold are right."""
        return self.right[self.docs]

    def probabilities(self, temperature: float) -> FloatsT:
        """The probability of the tags of each doc with gold."""
        return path_probabilities(at_temperature(self.scores, temperature), self.tags)[self.docs]

    def losses(self, temperature: float) -> FloatsT:
        """The negative log-likelihood of the gold tags of each doc."""
        known = self.docs[self.is_known[self.docs]]
        losses: FloatsT = -agreeing_logs(at_temperature(self.scores, temperature), self.possible)[known]
        return losses[np.isfinite(losses)]
