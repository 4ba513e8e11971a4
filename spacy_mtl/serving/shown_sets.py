"""Prediction sets as JSON."""

from typing import Any

from ..prediction_set import PredictionSet
from ..protocols.head_prediction import DIGITS


def set_as_dict(found: PredictionSet) -> dict[str, Any]:
    """Convert a prediction set: each outcome with its `probability`, and its `label` or, if it is all entities of a
    doc, its `spans`.
    """
    pairs = zip(found.outcomes, found.probabilities, strict=True)
    return {
        "coverage": found.coverage,
        "answered": found.answered,
        "complete": found.complete,
        "outcomes": [_outcome(one) | {"probability": round(share, DIGITS)} for one, share in pairs],
    }


def _outcome(outcome: Any) -> dict[str, Any]:
    if isinstance(outcome, str):
        return {"label": outcome}
    return {"spans": [{"label": label, "start": start, "end": end} for start, end, label in outcome]}
