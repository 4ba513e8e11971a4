"""The log-odds of a labelled arc, for explanations: its head against all others, and its label against all others."""

from dataclasses import dataclass

import numpy as np
from thinc.util import get_array_module, to_numpy

from ...layers.log_odds import log_odds
from ...protocols.arrays import ArrayT, FloatsT, IntsT
from .arc_scores import ArcScores, score_arcs, score_labels
from .sentence_pieces import Bucket, Pieces


@dataclass(frozen=True)
class ArcOdds:
    """An arc of a piece of text.

    words (IntsT): The tokens of the piece, (n_words,).
    dependent (int): Index of the dependent in `words`.
    column (int): 0 for the root, else 1 + the index of the head.
    label (int): Index of the label.
    left_out (IntsT): Indices of the labels that the arc can't have.
    """

    words: IntsT
    dependent: int
    column: int
    label: int
    left_out: IntsT

    def measure(self, scores: ArcScores) -> tuple[float, ArcScores]:
        """Compute log P - log(1 - P) of head and label together, in nats, and its gradient. P is the product of the
        head's probability among the words of the piece and the label's given the head.
        """
        gradient = scores.zeros()
        arcs, bp_arcs = score_arcs(scores, Bucket(np.zeros(1, int), self.words[None], np.array([len(self.words)])))
        heads: FloatsT = to_numpy(arcs[0, self.dependent]).astype("d")
        value, d_heads = log_odds(heads, self.column)
        head = -1 if self.column == 0 else int(self.words[self.column - 1])
        logits, bp_logits = score_labels(scores, self.words[[self.dependent]], np.array([head]))
        row: FloatsT = to_numpy(logits[0]).astype("d")
        row[self.left_out] = -np.inf
        d_of_head = 1.0
        if np.isfinite(row).sum() > 1:
            of_label, d_labels = log_odds(row, self.label)
            # The only word of a piece can have no other head, so that its label alone is open.
            is_open = np.isfinite(heads).sum() > 1
            value, d_of_head, d_of_label = odds_of_both(value, of_label) if is_open else (of_label, 0.0, 1.0)
            bp_logits(_like(logits, d_labels[None] * d_of_label), gradient)
        d_arcs = np.zeros(arcs.shape)
        d_arcs[0, self.dependent] = d_heads * d_of_head
        bp_arcs(_like(arcs, d_arcs), gradient)
        return value, gradient


def odds_of_both(one: float, other: float) -> tuple[float, float, float]:
    """Compute the log-odds of two events together from those of each. RETURNS: them, and their two derivatives."""
    log_p, log_q = -np.logaddexp(0.0, -one), -np.logaddexp(0.0, -other)
    not_p, not_q = -np.logaddexp(0.0, one), -np.logaddexp(0.0, other)
    neither = np.logaddexp(not_p, log_p + not_q)
    return float(log_p + log_q - neither), float(np.exp(not_p - neither)), float(np.exp(not_q - neither))


def words_around(pieces: Pieces, token: int) -> IntsT | None:
    """The words of the piece that a token is in; None if it is in none, such as white space."""
    places = np.flatnonzero(pieces.tokens == token)
    if not len(places):
        return None
    ends = np.cumsum(pieces.lengths)
    piece = int(np.searchsorted(ends, places[0], side="right"))
    words: IntsT = pieces.tokens[ends[piece] - pieces.lengths[piece] : ends[piece]]
    return words


def _like(array: ArrayT, values: FloatsT) -> ArrayT:
    return get_array_module(array).asarray(values, dtype=array.dtype)
