"""Decoded arcs beside gold ones, to calibrate a parser."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from thinc.util import to_numpy

from ...layers.softmax import log_softmax
from ...protocols.arrays import BoolsT, FloatsT, IntsT
from .arc_losses import gold_columns
from .arc_scores import ArcScores, score_arcs, score_labels
from .sentence_pieces import Pieces, buckets

# logits (n, n_choices), and the index of the gold choice, (n,)
ChoicesT = tuple[FloatsT, IntsT]


@dataclass(frozen=True)
class ArcEvidence:
    """The head and label of each token that has gold, as an `Evidence`.

    docs (IntsT): The example of each token, (n_tokens,).
    correct (BoolsT): Whether its head and its label are right, (n_tokens,).
    rate (Callable): Computes the probability of each predicted arc and label at a temperature, (n_tokens,).
    choices (list): The scores of all heads, and of all labels, of tokens with gold.
    """

    docs: IntsT
    correct: BoolsT
    rate: Callable[[float], FloatsT]
    choices: list[ChoicesT]
    unit: str = "arcs"

    def probabilities(self, temperature: float) -> FloatsT:
        """The probability of each predicted arc and its label."""
        return self.rate(temperature)

    def losses(self, temperature: float) -> FloatsT:
        """The negative log-likelihood of each gold head, and of each gold label given it."""
        parts = [
            -log_softmax(logits.astype("d") / temperature)[np.arange(len(gold)), gold] for logits, gold in self.choices
        ]
        return np.concatenate([np.zeros(0), *parts])


def gold_choices(scores: ArcScores, pieces: Pieces, heads: IntsT, labels: IntsT) -> list[ChoicesT]:
    """Collect the scores of the heads of all words whose gold head is in the same piece, and of their labels.

    heads (IntsT): The gold head of each token, (n_tokens,); its own at a root.
    labels (IntsT): The index of its gold label, (n_tokens,); -1 where it is missing or not known.
    """
    found: list[ChoicesT] = []
    learned = [np.zeros(0, dtype="int64")]
    for bucket in buckets(pieces):
        gold = gold_columns(bucket, heads, labels)
        rows, words = np.nonzero(gold >= 0)
        arcs = to_numpy(score_arcs(scores, bucket)[0])
        found.append((arcs[rows, words], gold[rows, words]))
        learned.append(bucket.tokens[rows, words])
    tokens = np.concatenate(learned)
    at_root = heads[tokens] == tokens
    logits = to_numpy(score_labels(scores, tokens, np.where(at_root, -1, heads[tokens]))[0])
    return [*found, (logits, labels[tokens])]
