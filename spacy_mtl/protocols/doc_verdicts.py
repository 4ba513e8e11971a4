"""Heads that compare what they predicted for docs with gold: counts of each doc, scores, and single decisions."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from spacy.training import Example

from .decisions import Decisions


@runtime_checkable
class CountsDocs(Protocol):
    """A head that counts what is right and wrong in each doc, so that the main score of any group of docs follows from
    a sum. Statistical tests use it to resample docs. The main score must be a function of such sums: accuracy and F1
    are, an area under a curve is not.
    """

    def judge(self, examples: Sequence[Example]) -> NDArray[np.float64]:
        """Count what is right and wrong in each doc, (n_docs, n_counts). The counts add up over docs; the row of a doc
        without gold is zero. The columns depend on the head alone, not on the examples.
        """

    def main_score_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the main score of groups of docs.

        counts (NDArray[np.float64]): (..., n_counts): the rows of `judge`, summed over the docs of each group.
        RETURNS (NDArray[np.float64]): (...): NaN where no doc of the group has gold.
        """


class Verdicts(Protocol):
    """What a head predicted for docs, compared with their gold.

    correct (NDArray[np.float64]): (n_docs,): what `is_correct` says of each doc: 1.0, 0.0, or NaN for None.
    """

    @property
    def correct(self) -> NDArray[np.float64]:
        """Whether the whole gold annotation of each doc is predicted."""

    def scores(self, rows: NDArray[np.int64] | None = None) -> dict[str, Any]:
        """Compute what `Head.score` returns for some of the docs.

        rows (NDArray[np.int64] | None): Their indices; None for all.
        """


@runtime_checkable
class CountedVerdicts(Protocol):
    """Verdicts of a head that counts docs (`CountsDocs`), from which the counts need not be made again.

    counts (NDArray[np.float64]): What `CountsDocs.judge` returns for the same docs.
    """

    @property
    def counts(self) -> NDArray[np.float64]:
        """What `CountsDocs.judge` returns for the same docs."""


@runtime_checkable
class DecidedVerdicts(Protocol):
    """Verdicts of a head that shows its decisions (`ShowsDecisions`), from which they need not be made again."""

    def decisions(self) -> Decisions:
        """What `ShowsDecisions.decisions` returns for the same docs."""


@runtime_checkable
class GivesVerdicts(Protocol):
    """A head that looks at each doc once for all scores: of all docs, of each corpus, and whether each doc is right.
    Heads without it are asked for `score` for all docs and each corpus, and for `is_correct` for each doc.
    """

    def verdicts(self, examples: Sequence[Example]) -> Verdicts:
        """Compare predictions with gold. Examples without gold are passed over."""


@runtime_checkable
class ShowsDecisions(Protocol):
    """A head that can put its decisions beside the gold ones. Reports take scores per label, confusions and errors from
    them; of heads without it they show the scores alone.
    """

    def decisions(self, examples: Sequence[Example]) -> Decisions:
        """List the decisions in docs with the head's gold. What has no gold, such as an unset token, is left out. The
        predicted docs have the tokens of the gold docs.
        """


@runtime_checkable
class ScoresInUnits(Protocol):
    """A head of which some scores are in the unit of the gold, such as a mean error. Tools show these as they are, and
    all others, which are from 0 to 1, in per cent.
    """

    @property
    def scores_in_units(self) -> Collection[str]:
        """The keys of `score()`."""
