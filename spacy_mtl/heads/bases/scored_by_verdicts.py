"""Bases of heads that compare predictions with gold once, and take all scores from that."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from spacy.training import Example

from ...metrics.prf_counts import as_flag
from ...protocols.decisions import Decisions
from ...protocols.doc_verdicts import CountedVerdicts, DecidedVerdicts, Verdicts


class ScoringVerdicts(Verdicts, CountedVerdicts, Protocol):
    """Verdicts with scores, and with the counts of each doc."""


class DecidingVerdicts(ScoringVerdicts, DecidedVerdicts, Protocol):
    """Verdicts that also list the decisions."""


class ScoredByVerdicts(ABC):
    """A head whose scores follow from `verdicts` (`GivesVerdicts`). A head that also defines `main_score_of` is a
    `CountsDocs`.
    """

    @abstractmethod
    def verdicts(self, examples: Sequence[Example]) -> ScoringVerdicts:
        """Compare predictions with gold. Examples without gold are passed over."""

    def judge(self, examples: Sequence[Example]) -> NDArray[np.float64]:
        """Get the counts of each doc, (n_docs, n_counts), which the class of the verdicts describes."""
        return self.verdicts(examples).counts

    def score(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Compute the metrics that `verdicts` describes; None if no doc has gold."""
        return self.verdicts(examples).scores()

    def is_correct(self, example: Example) -> bool | None:
        """Check whether the whole gold annotation of a doc is predicted; None if the doc has none."""
        return as_flag(self.verdicts([example]).correct[0])


class DecidedByVerdicts(ScoredByVerdicts):
    """A head whose decisions (`ShowsDecisions`) follow from `verdicts` too."""

    @abstractmethod
    def verdicts(self, examples: Sequence[Example]) -> DecidingVerdicts:
        """Compare predictions with gold. Examples without gold are passed over."""

    def decisions(self, examples: Sequence[Example]) -> Decisions:
        """List the decisions in docs with gold, as `verdicts` describes them."""
        return self.verdicts(examples).decisions()
