"""Logits beside gold labels, to calibrate heads that choose labels of docs, tokens, spans or pairs."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from thinc.util import to_numpy

from ..protocols.arrays import ArrayT, BoolsT, FloatsT, IntsT
from .calibrated import calibrated_odds, calibrated_softmax
from .softmax import log_softmax, sigmoid, softplus

# numbers that are turned into probabilities at once
N_NUMBERS = 2**21


@dataclass(frozen=True)
class LabelEvidence:
    """Items with one label each, as an `Evidence`.

    unit (str): What the items are: "docs", "tokens".
    owners (IntsT): The example of each item, (n_items,).
    logits (FloatsT): Minus infinity where a label is ruled out, (n_items, n_labels).
    gold (IntsT): Index of the gold label, -1 where the head does not know it, (n_items,).
    decided (IntsT): Index of the predicted label, (n_items,).
    shown (BoolsT): Whether the probability of an item is written, (n_items,). The others are annotated all the same.
    """

    unit: str
    owners: IntsT
    logits: ArrayT
    gold: IntsT
    decided: IntsT
    shown: BoolsT

    @property
    def docs(self) -> IntsT:
        """The example of each item that is written."""
        return self.owners[self.shown]

    @property
    def correct(self) -> BoolsT:
        """Whether the predicted label is the gold one, of each item that is written."""
        return (self.gold == self.decided)[self.shown]

    def probabilities(self, temperature: float) -> FloatsT:
        """The probability of the predicted label, of each item that is written."""
        parts = []
        for rows in self._parts():
            shown = self.shown[rows]
            table, decided = calibrated_softmax(self.logits[rows][shown], temperature), self.decided[rows][shown]
            parts.append(table[np.arange(len(table)), decided])
        return np.concatenate([np.zeros(0), *parts])

    def losses(self, temperature: float) -> FloatsT:
        """The negative log-likelihood of each gold label that the head knows."""
        parts = []
        for rows in self._parts():
            known = self.gold[rows] >= 0
            logs = log_softmax(self.logits[rows][known].astype("d") / temperature)
            parts.append(-logs[np.arange(len(logs)), self.gold[rows][known]])
        return np.concatenate([np.zeros(0), *parts])

    def _parts(self) -> Iterator[slice]:
        size = max(N_NUMBERS // max(self.logits.shape[1], 1), 1)
        return (slice(start, start + size) for start in range(0, len(self.logits), size))


@dataclass(frozen=True)
class OddsEvidence:
    """Labels that apply or do not, independently, as an `Evidence`.

    unit (str): What a probability is written for: "classes", "spans".
    owners (IntsT): The example of each label, (n_labels,).
    logits (FloatsT): Its log-odds, (n_labels,).
    gold (BoolsT): Whether it applies, (n_labels,).
    shown (BoolsT): Whether its probability is written, (n_labels,). The others are annotated all the same.
    threshold (float): Probability from which a label is predicted.
    """

    unit: str
    owners: IntsT
    logits: ArrayT
    gold: BoolsT
    shown: BoolsT
    threshold: float

    @property
    def docs(self) -> IntsT:
        """The example of each label that is written."""
        return self.owners[self.shown]

    @property
    def correct(self) -> BoolsT:
        """Whether each label that is written applies."""
        return self.gold[self.shown]

    def probabilities(self, temperature: float) -> FloatsT:
        """The probability of each label that is written."""
        found: FloatsT = sigmoid(calibrated_odds(self.logits[self.shown], temperature, self.threshold))
        return found

    def losses(self, temperature: float) -> FloatsT:
        """The negative log-likelihood of each label."""
        odds = calibrated_odds(self.logits, temperature, self.threshold)
        losses: FloatsT = softplus(odds) - self.gold * odds
        return losses


def token_evidence(logits: ArrayT, gold: IntsT, annotated: BoolsT, decided: IntsT, lengths: IntsT) -> LabelEvidence:
    """Build the evidence of a head that gives each token one label.

    logits (Floats2d): Of all tokens, (n_tokens, n_labels).
    gold (IntsT): (n_tokens,), -1 where the head does not know the gold label.
    annotated (BoolsT): Whether a token has gold, (n_tokens,).
    decided (IntsT): The predicted labels, (n_tokens,), -1 where there is none.
    lengths (IntsT): Number of tokens of each doc, (n_docs,).
    """
    owners = np.repeat(np.arange(len(lengths)), lengths)
    return chosen_items("tokens", owners, to_numpy(logits), gold, decided, np.flatnonzero(annotated))


def chosen_items(unit: str, owners: IntsT, logits: ArrayT, gold: IntsT, decided: IntsT, rows: IntsT) -> LabelEvidence:
    """Build the evidence of some rows, of which those with a predicted label are written. Arrays as those of
    `LabelEvidence`.
    """
    chosen = decided[rows]
    return LabelEvidence(unit, owners[rows], logits[rows], gold[rows], chosen, chosen >= 0)
