"""The cost of combining a class and entity types, or two entity types, that do not occur together in training.

Training shows kinds of docs, where a kind is a class together with the set of entity types in the doc. A type that
occurs in no kind of a class is not impossible there, only improbable. Two things tell how improbable:

- How often the combination would occur by chance. If a common type never occurs with a common class, that says more
  than if the type occurs only once anywhere.
- How many combinations occur in a single kind. Had that kind been left out, the combination would be new, so their
  number is the rate at which new kinds bring new combinations (Good 1953, "The Population Frequencies of Species and
  the Estimation of Population Parameters").

One estimate combines both. If chance predicts e kinds with a combination, its true rate is e times an unknown factor,
which is gamma-distributed with mean 1 and shape a. Given that no kind has the combination, the expected factor is
a / (a + e) (the shrinkage of DuMouchel 1999, "Bayesian Data Mining in Large Frequency Tables"), and the cost is its
negative logarithm, log(1 + e / a). The shape is the one for which all unseen combinations together have the rate that
leaving one kind out shows.

With the kinds play {artist}, play {album, artist}, weather {city} and weather {city, date}, chance predicts e = 1 kind
for play with city and e = 0.5 for play with date. The shape is a = 0.39, so in a doc of the class play a city costs
log(1 + 1 / 0.39) = 1.27 nats and a date 0.82.

Kinds are counted rather than docs, because docs of one kind are not independent: they come from one template, from an
augmenter, as pseudo-labels, or again in the next epoch. However often a doc is shown, the set of kinds stays the same.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import srsly
from numpy.typing import NDArray
from thinc.api import Model
from thinc.model import deserialize_attr, serialize_attr

from ..protocols.arrays import BoolsT, IntsT

CountsT = NDArray[np.float64]
# The class, None if it is unknown, and the types in alphabetical order; a type occurs twice if two entities have it.
KindT = tuple[str | None, tuple[str, ...]]
N_HALVINGS = 60
# annotations to remember; a stream may have no end
MAX_MARKS = 1_000_000


@dataclass(frozen=True)
class Costs:
    """Costs in nats, finite and at least 0.

    types (Floats2d): Cost of an entity of each type in a doc of each class, (n_classes, n_labels).
    pairs (Floats3d): Cost of two entities of these types in one doc of the class, symmetric,
        (n_classes, n_labels, n_labels).
    """

    types: CountsT
    pairs: CountsT

    def of_counts(self, counts: NDArray[Any], index: int) -> CountsT:
        """Return the cost of each doc of one class, (n_docs,).

        counts (Floats2d): Number of entities of each type, (n_docs, n_labels).
        index (int): Index of the class.
        """
        return counts @ self.types[index] + self.of_pairs(counts, index)

    def of_pairs(self, counts: NDArray[Any], index: int) -> CountsT:
        """Return the part of `of_counts` that pairs of entities cost, (n_docs,)."""
        pairs = self.pairs[index]
        # an entity makes no pair with itself
        result: CountsT = ((counts @ pairs - pairs.diagonal()) * counts).sum(axis=1) / 2
        return result


class SeenTypes:
    """The kinds of docs that training has shown.

    Docs of unknown class are evidence of one thing only: which types occur together in classes that have no docs of
    their own.
    """

    def __init__(self, kinds: Iterable[KindT] = ()) -> None:
        self.kinds = set(kinds)
        self._marks: set[int] = set()
        self._costs: dict[tuple[tuple[str, ...], tuple[str, ...]], Costs] = {}

    def merged(self, others: Sequence["SeenTypes"]) -> "SeenTypes":
        """Combine the kinds that several trainings have shown."""
        return SeenTypes(kind for other in others for kind in other.kinds)

    def is_repeated(self, name: str | None, annotation: bytes) -> bool:
        """Whether this annotation of a doc of this class was asked for before, as in each epoch but the first. That
        takes less time than reading its entities.
        """
        mark = hash((name, annotation))
        if mark in self._marks:
            return True
        if len(self._marks) >= MAX_MARKS:
            self._marks.clear()
        self._marks.add(mark)
        return False

    def see(self, name: str | None, labels: Iterable[str]) -> None:
        """Add the kind of a doc.

        name (str | None): The class of the doc; None if it is unknown.
        labels (Iterable[str]): The types of all its entities.
        """
        kind = (name, _kind_of(labels))
        if kind not in self.kinds:
            self.kinds.add(kind)
            self._costs.clear()

    def costs(self, classes: Sequence[str], labels: Sequence[str]) -> Costs:
        """Return the costs of these types in docs of these classes. A type or class that no doc had costs nothing."""
        key = (tuple(classes), tuple(labels))
        if key not in self._costs:
            self._costs[key] = self._estimate(classes, labels)
        return self._costs[key]

    def novelty(self) -> float:
        """Return the share of kinds with a known class that would cost something had they not been seen themselves."""
        labels = sorted({label for _, types in self.kinds for label in types})
        known, counts = self._count_by_class(labels)
        new_types, new_pairs = (part.needed_once for part in (type_counts(*counts[:2]), pair_counts(*counts)))
        columns = {label: index for index, label in enumerate(labels)}
        new = []
        for name, types in self.kinds:
            if name is not None:
                row, here = known[name], [columns[label] for label in types]
                in_pairs = any(new_pairs[row, one, other] for one, other in combinations(here, 2))
                new.append(in_pairs or any(new_types[row, here]))
        return sum(new) / max(len(new), 1)

    def _estimate(self, classes: Sequence[str], labels: Sequence[str]) -> Costs:
        known, own = self._count_by_class(labels)
        everything = count_kinds(((0, types) for types in {types for _, types in self.kinds}), 1, labels)
        types, pairs = unseen_costs(type_counts(*own[:2])), pair_costs(*own)
        nothing, pooled = np.zeros(len(labels)), pair_costs(*everything)[0]
        return Costs(
            np.array([types[known[name]] if name in known else nothing for name in classes]),
            np.array([pairs[known[name]] if name in known else pooled for name in classes]),
        )

    def _count_by_class(self, labels: Sequence[str]) -> tuple[dict[str, int], tuple[CountsT, CountsT, CountsT]]:
        """RETURNS: The row of each class that was seen, and the counts of `count_kinds` in these rows."""
        known = sorted({name for name, _ in self.kinds if name is not None})
        rows = {name: index for index, name in enumerate(known)}
        kinds = ((rows[name], types) for name, types in self.kinds if name is not None)
        return rows, count_kinds(kinds, len(rows), labels)


def count_kinds(
    kinds: Iterable[tuple[int, Sequence[str]]], n_classes: int, labels: Sequence[str]
) -> tuple[CountsT, CountsT, CountsT]:
    """Count kinds by class, by class and type, and by class and pair of types.

    kinds (Iterable): Index of the class and the types of each kind; a type occurs twice if two entities have it.
    n_classes (int): Number of classes.
    labels (Sequence[str]): The types to count.
    RETURNS: Counts of shape (n_classes,), (n_classes, n_labels) and (n_classes, n_labels, n_labels).
    """
    columns = {label: index for index, label in enumerate(labels)}
    sizes, types = np.zeros(n_classes), np.zeros((n_classes, len(labels)))
    pairs = np.zeros((*types.shape, len(labels)))
    for index, names in kinds:
        sizes[index] += 1
        counts = Counter(columns[name] for name in names if name in columns)
        here = list(counts)
        types[index, here] += 1
        pairs[index][np.ix_(here, here)] += 1
        alone = [column for column in here if counts[column] == 1]
        pairs[index, alone, alone] -= 1
    return sizes, types, pairs


def type_counts(sizes: CountsT, types: CountsT) -> "Counts":
    """Compare the kinds of each class that have each type with the number expected by chance.

    sizes (Floats1d): Kinds of each class, (n_classes,).
    types (Floats2d): Kinds of each class with each type, (n_classes, n_labels).
    """
    in_all = types.sum(axis=0)
    expected = np.outer(sizes, in_all) / max(sizes.sum(), 1.0)
    return Counts(types, expected, np.outer(sizes > 1, in_all > 1))


def pair_counts(sizes: CountsT, types: CountsT, pairs: CountsT) -> "Counts":
    """Compare the kinds of each class that have both of two types with the number expected by chance.

    sizes (Floats1d): Kinds of each class, (n_classes,).
    types (Floats2d): Kinds of each class with each type, (n_classes, n_labels).
    pairs (Floats3d): Kinds of each class with each pair of types, (n_classes, n_labels, n_labels).
    """
    expected = types[:, :, None] * types[:, None, :] / np.maximum(sizes, 1.0)[:, None, None]
    return Counts(pairs, expected, (types > 1)[:, :, None] & (types > 1)[:, None, :])


def pair_costs(sizes: CountsT, types: CountsT, pairs: CountsT) -> CountsT:
    """Return the costs of pairs of types that each occur in the class, (n_classes, n_labels, n_labels).

    Pairs of two types and pairs of a type with itself have estimates of their own. Arguments as for `pair_counts`.
    """
    counts, costs = pair_counts(sizes, types, pairs), np.zeros_like(pairs)
    one, other = np.triu_indices(pairs.shape[1], k=1)
    costs[:, one, other] = costs[:, other, one] = unseen_costs(counts.at(one, other))
    twice = np.arange(pairs.shape[1])
    costs[:, twice, twice] = unseen_costs(counts.at(twice, twice))
    return costs


@dataclass
class Counts:
    """Numbers of kinds with each of some combinations. All arrays have the same shape.

    counts (Floats): Observed number of kinds.
    expected (Floats): Number of kinds expected by chance.
    remain (Bools): Whether both parts of the combination would still occur if one kind were left out.
    """

    counts: CountsT
    expected: CountsT
    remain: BoolsT

    @property
    def needed_once(self) -> BoolsT:
        """Combinations of a single kind that would be new, though of known parts, had that kind been left out."""
        return (self.counts == 1) & self.remain

    def at(self, one: IntsT, other: IntsT) -> "Counts":
        """Select pairs of labels.

        one, other (Ints1d): Indices of the labels, (n_pairs,).
        """
        return Counts(self.counts[:, one, other], self.expected[:, one, other], self.remain[:, one, other])


def unseen_costs(found: Counts) -> CountsT:
    """Return the costs of combinations in nats, in the shape of the counts; 0 for those that some kind has."""
    unseen = found.counts == 0
    # Plus one: the next kind may be another one that brings a new combination.
    shape = gamma_shape(found.expected[unseen & (found.expected > 0)], float(found.needed_once.sum() + 1))
    return np.where(unseen, np.log1p(found.expected / shape), 0.0)


def gamma_shape(expected: CountsT, rate: float) -> float:
    """Return the shape a for which the sum of a * e / (a + e) over all e in `expected` is `rate`.

    RETURNS (float): The shape; infinite if the sum of e is not above `rate`, which no shape can reach.

    For expected = [2, 2] and a rate of 1 it is 2 / 3, since 2 * (2 / 3 * 2) / (2 / 3 + 2) = 1.
    """
    if expected.sum() <= rate:
        return np.inf
    # Bisection of log a. For its limits each term is at most a, and at least e * a / (a + greatest e).
    low = np.log(rate / len(expected))
    high = np.log(expected.max()) + np.log(rate) - np.log(expected.sum() - rate)
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        shape = np.exp(middle)
        if (shape * expected / (shape + expected)).sum() < rate:
            low = middle
        else:
            high = middle
    return float(np.exp(low))


def _kind_of(labels: Iterable[str]) -> tuple[str, ...]:
    counts = Counter(labels)
    return tuple(label for label in sorted(counts) for _ in range(min(counts[label], 2)))


@serialize_attr.register
def _(attr: SeenTypes, value: SeenTypes, name: str, model: Model[Any, Any]) -> bytes:
    kinds = sorted(value.kinds, key=lambda kind: (kind[0] is not None, kind[0] or "", kind[1]))
    return bytes(srsly.msgpack_dumps(kinds))


@deserialize_attr.register
def _(attr: SeenTypes, value: bytes, name: str, model: Model[Any, Any]) -> SeenTypes:
    return SeenTypes((name, tuple(types)) for name, types in srsly.msgpack_loads(value))
