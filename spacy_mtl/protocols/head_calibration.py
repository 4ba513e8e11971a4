"""How a head's probabilities are calibrated, and the Protocols of heads that can be.

A calibration is kept in the `attrs` of the head's network, so that it is saved, copied, renamed and extracted with the
head. It changes the probabilities that a head gives, never what the head decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model

from .arrays import BoolsT, FloatsT, IntsT, ScoresT

ATTR = "calibration"


class Evidence(Protocol):
    """What a head scored for a batch, beside the gold.

    unit (str): What a probability is written for, in the plural: "docs", "tokens", "entities".
    docs (IntsT): Index of the example that each unit belongs to, (n_units,).
    correct (BoolsT): Whether what the head decided about the unit holds, (n_units,).
    """

    @property
    def unit(self) -> str:
        """What a probability is written for, in the plural."""

    @property
    def docs(self) -> IntsT:
        """Index of the example that each unit belongs to, (n_units,)."""

    @property
    def correct(self) -> BoolsT:
        """Whether what the head decided about the unit holds, (n_units,)."""

    def probabilities(self, temperature: float) -> FloatsT:
        """Compute the probability of what was decided about each unit at a temperature, (n_units,)."""

    def losses(self, temperature: float) -> FloatsT:
        """Compute the negative log-likelihood of the gold at a temperature, in nats: one number for each annotated
        item, (n_items,). Items need not be units: entities are units, and the tags of a whole doc are an item.
        """


@runtime_checkable
class GivesEvidence(Protocol):
    """A head whose probabilities can be compared with gold, and so be calibrated by a temperature."""

    def evidence(self, examples: Sequence[Example], scores: ScoresT) -> Sequence[Evidence]:
        """Compare scores with gold. Examples without gold, and labels that the head does not know, are passed over.
        A temperature that the head has already is not applied.

        scores (ScoresT): What the head decodes for `eg.predicted` of the examples.
        RETURNS: One for each kind of probability that the head gives, with units of their own. Each kind gets its own
            temperature. They are the same for all batches.
        """


@dataclass(frozen=True)
class Ranked:
    """The likeliest outcomes for a doc.

    outcomes (Sequence[Any]): Classes, or for an entity recognizer lists of entities (first token, end, label), the
        likeliest first.
    logs (FloatsT): Their log-probabilities, (n_outcomes,).
    n_decided (int): Number of them, from the first one on, that are the head's annotation: 1, or any number if several
        classes can apply. 0 also if the annotation is another one than the first.
    """

    outcomes: Sequence[Any]
    logs: FloatsT
    n_decided: int


@runtime_checkable
class RanksOutcomes(Protocol):
    """A head that can list the likeliest outcomes for a doc, at the temperature that it has."""

    @property
    def one_holds(self) -> bool:
        """Whether exactly one outcome is true for a doc. Else any number can be, such as classes that do not exclude
        each other.
        """

    def rank(self, docs: Sequence[Doc], scores: ScoresT, *, least: float, most: int) -> Sequence[Ranked]:
        """List outcomes of each doc, the likeliest first.

        least (float): Log-probability that they have at least.
        most (int): Maximum number for each doc.
        """

    def gold_logs(self, examples: Sequence[Example], scores: ScoresT) -> FloatsT:
        """Compute the log-probability of each doc's gold outcome, (n_docs,): of the least probable one if several are
        true, 0 if none is. Minus infinity if the head does not know the gold label, NaN without complete gold.
        """


@dataclass(frozen=True)
class SetRule:
    """Which outcomes are in the prediction set of a doc.

    coverage (float): Share of docs whose truth is in their set, as it was asked for.
    method (str): "lac" takes every outcome that is likely enough; "aps" takes the likeliest outcomes until their
        probabilities sum to enough.
    limit (float): For "lac" the greatest negative log-probability in the set, in nats; for "aps" the sum of
        probabilities. Infinity where no limit reaches the coverage.
    most (int): Maximum number of outcomes that are listed.
    n_docs (int): Number of docs that the limit was found on.
    """

    coverage: float
    method: str
    limit: float
    most: int
    n_docs: int


def calibration_of(model: Model[Any, Any]) -> Mapping[str, Any]:
    """Get the calibration of a head's network; empty if it has none."""
    found: Mapping[str, Any] = model.attrs.get(ATTR) or {}
    return found


def temperature_of(model: Model[Any, Any], unit: str) -> float:
    """Get the temperature by which the head's scores are divided for a kind of probability; 1.0 without a calibration.

    unit (str): As `Evidence.unit`.
    """
    return float(calibration_of(model).get("temperatures", {}).get(unit, 1.0))


def threshold_of_fit(model: Model[Any, Any], threshold: float) -> float:
    """Get the threshold with which a head's temperatures and sets were fitted; `threshold` if it has no calibration."""
    return float(calibration_of(model).get("threshold", threshold))


def set_rule_of(model: Model[Any, Any]) -> SetRule | None:
    """Get the rule for prediction sets; None if the head gives none."""
    found = calibration_of(model).get("sets")
    return None if found is None else SetRule(**found)


def drop_calibration(model: Model[Any, Any]) -> bool:
    """Remove the calibration, since the network changes. RETURNS: whether there was one."""
    return model.attrs.pop(ATTR, None) is not None
