"""Prediction sets on docs: what may be true of a doc, with a guarantee, as `doc._.mtl_sets`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from spacy.tokens import Doc

from .head_keys import unambiguous

EXTENSION = "mtl_sets"
# plain values, since docs are sent to other processes and saved
KEY = "spacy_mtl_sets"


@dataclass(frozen=True)
class PredictionSet:
    """What may be true of a doc according to one head.

    outcomes (tuple): Labels, or for an entity recognizer tuples of entities (first token, end, label); the likeliest
        first. Exactly one of them is true, or for classes that do not exclude each other, all true ones are among them.
    probabilities (tuple[float, ...]): Of each outcome.
    coverage (float): Share of docs whose truth is in their set, for docs like those of the calibration.
    answered (bool): Whether the set says no more and no less than the annotation of the doc. Other docs should go to a
        person: several outcomes are likely enough, or none is.
    complete (bool): False if more outcomes are likely enough than are listed; the truth may be among the others then.
    """

    outcomes: tuple[Any, ...]
    probabilities: tuple[float, ...]
    coverage: float
    answered: bool
    complete: bool = True

    @property
    def size(self) -> int:
        """Number of outcomes that are listed."""
        return len(self.outcomes)

    def __contains__(self, outcome: Any) -> bool:
        """Check whether the set has an outcome, given as label or as any sequence of entities."""
        return _frozen(outcome) in self.outcomes


def prediction_sets(doc: Doc) -> dict[str, PredictionSet]:
    """Get the prediction sets of a doc by head; empty without a calibration that gives any. Where several components
    gave one for a head of that name, the key is "component/head".
    """
    found: dict[str, dict[str, dict[str, Any]]] = doc.user_data.get(KEY, {})
    by_head = unambiguous(found)
    return {
        name: PredictionSet(**values | {key: _frozen(values[key]) for key in ("outcomes", "probabilities")})
        for name, values in by_head.items()
    }


def write_sets(doc: Doc, component: str, sets: Mapping[str, PredictionSet]) -> None:
    """Write prediction sets of a component's heads to a doc, in place of those that it wrote before.

    component (str): The component's name.
    """
    own = {head: asdict(found) for head, found in sets.items()}
    doc.user_data[KEY] = doc.user_data.get(KEY, {}) | {component: own}


def register_sets() -> None:
    """Register `doc._.mtl_sets`, unless an extension has that name already."""
    if not Doc.has_extension(EXTENSION):
        Doc.set_extension(EXTENSION, getter=prediction_sets)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
