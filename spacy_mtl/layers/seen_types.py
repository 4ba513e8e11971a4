"""Which entity types go together in a doc, and with which class of docs, as far as training has shown."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


TypesT = dict[str, set[str]]
PairsT = frozenset[tuple[str, str | None]]


class SeenTypes:
    """Class -> type -> the types that were in one doc with it; itself among them if it was there twice. What docs of
    unknown class had is under None.
    """

    def __init__(self, classes: dict[str | None, TypesT] | None = None) -> None:
        self.classes = classes or {}
        self._docs: set[tuple[str | None, PairsT]] = set()
        self._fits: dict[tuple[tuple[str, ...], tuple[str, ...]], Fit] = {}

    def see(self, name: str | None, labels: Iterable[str]) -> None:
        """Take note of a doc. name (str | None): Its class. labels (Iterable[str]): The types of all its entities."""
        pairs = _pairs(labels)
        if (name, pairs) in self._docs:
            return
        self._docs.add((name, pairs))
        self._fits.clear()
        types = self.classes.setdefault(name, {})
        for one, other in pairs:
            types.setdefault(one, set())
            if other is not None:
                types[one].add(other)

    def shows(self, name: str, labels: Iterable[str]) -> bool:
        """Whether a doc of the class may have entities of these types."""
        sources = [types for types in (self.classes.get(name), self.classes.get(None)) if types is not None]
        had = {label for types in self.classes.values() for label in types} | {None}
        return not sources or all(
            any(one in types and (other is None or other in types[one]) for types in sources)
            for one, other in _pairs(labels)
            if one in had and other in had
        )

    def fit(self, classes: Sequence[str], labels: Sequence[str]) -> Fit:
        """What goes together: what docs of the class or of unknown class had. If there were none, and for a type that
        no doc had, everything does.
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
            for source in {name, None} & set(self.classes):
                for label, others in self.classes[source].items():
                    if label in columns:
                        row[columns[label]] = True
                        pairs[columns[label], [columns[other] for other in others if other in columns]] = True
        unseen = ~possible.any(axis=0)
        possible[:, unseen] = together[:, unseen] = together[:, :, unseen] = True
        if None not in self.classes:
            unknown = [name not in self.classes for name in classes]
            possible[unknown] = together[unknown] = True
        return Fit(possible, together)


def _pairs(labels: Iterable[str]) -> PairsT:
    """Each type of a doc with None, with every other type, and with itself if it is there twice."""
    counts = Counter(labels)
    pairs: set[tuple[str, str | None]] = {(one, None) for one in counts}
    pairs.update((one, other) for one in counts for other in counts if one != other or counts[one] > 1)
    return frozenset(pairs)


@serialize_attr.register
def _(attr: SeenTypes, value: SeenTypes, name: str, model: Model[Any, Any]) -> bytes:
    classes = [
        (name, [(label, sorted(others)) for label, others in sorted(types.items())])
        for name, types in sorted(value.classes.items(), key=lambda item: item[0] or "")
    ]
    return bytes(srsly.msgpack_dumps(classes))


@deserialize_attr.register
def _(attr: SeenTypes, value: bytes, name: str, model: Model[Any, Any]) -> SeenTypes:
    classes = srsly.msgpack_loads(value)
    return SeenTypes({name: {label: set(others) for label, others in types} for name, types in classes})
