"""Which entity types go together in a doc, and with which class of docs, as far as training has shown."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import srsly
from numpy.typing import NDArray
from thinc.api import Model
from thinc.model import deserialize_attr, serialize_attr

BoolsT = NDArray[np.bool_]


@dataclass(frozen=True)
class Fit:
    """What goes together.

    possible (n_classes, n_labels): whether a doc of the class may have entities of the type.
    together (n_classes, n_labels, n_labels): whether it may have entities of both; on the diagonal, two of one type.
    """

    possible: BoolsT
    together: BoolsT


class SeenTypes:
    """Class -> type -> the types that were in one doc with it; itself among them if it was there twice."""

    def __init__(self, classes: dict[str, dict[str, list[str]]] | None = None) -> None:
        self.classes = {
            name: {label: set(others) for label, others in types.items()} for name, types in (classes or {}).items()
        }
        self._docs: set[tuple[str, ...]] = set()
        self._fits: dict[tuple[tuple[str, ...], tuple[str, ...]], Fit] = {}

    def see(self, name: str, labels: Collection[str]) -> None:
        """Take note of a doc. name (str): Its class. labels (Collection[str]): The types of all its entities."""
        doc = (name, *sorted(labels))
        if doc in self._docs:
            return
        self._docs.add(doc)
        self._fits.clear()
        types = self.classes.setdefault(name, {})
        for label in labels:
            types.setdefault(label, set())
        for one, other in combinations(labels, 2):
            types[one].add(other)
            types[other].add(one)

    def fit(self, classes: Sequence[str], labels: Sequence[str]) -> Fit:
        """What goes together. A class of which no doc was seen goes with all, and a type of which none was, with all
        classes and types.
        """
        key = (tuple(classes), tuple(labels))
        if key not in self._fits:
            self._fits[key] = self._find_fit(classes, labels)
        return self._fits[key]

    def _find_fit(self, classes: Sequence[str], labels: Sequence[str]) -> Fit:
        columns = {label: index for index, label in enumerate(labels)}
        possible = np.zeros((len(classes), len(labels)), dtype=bool)
        together = np.zeros((*possible.shape, len(labels)), dtype=bool)
        for row, pairs, name in zip(possible, together, classes, strict=True):
            for label, others in self.classes.get(name, {}).items():
                if label in columns:
                    row[columns[label]] = True
                    pairs[columns[label], [columns[other] for other in others if other in columns]] = True
        unseen = ~possible.any(axis=0)
        possible[:, unseen] = together[:, unseen] = together[:, :, unseen] = True
        unknown = [name not in self.classes for name in classes]
        possible[unknown] = together[unknown] = True
        return Fit(possible, together)


@serialize_attr.register
def _(attr: SeenTypes, value: SeenTypes, name: str, model: Model[Any, Any]) -> bytes:
    classes = {
        name: {label: sorted(others) for label, others in sorted(types.items())}
        for name, types in sorted(value.classes.items())
    }
    return bytes(srsly.msgpack_dumps(classes))


@deserialize_attr.register
def _(attr: SeenTypes, value: bytes, name: str, model: Model[Any, Any]) -> SeenTypes:
    return SeenTypes(srsly.msgpack_loads(value))
