"""The cost of giving a doc a class and entity types that training has not shown together.

Training shows kinds of docs: a class with the set of its entities' types. A type that no kind of a class has is not
impossible there, only improbable. How improbable depends on two things. The first is how often chance alone would have
brought both together: a common type that never comes with a common class says more than a type that came once. The
second is how often training needs a combination that it shows only once. Left out, its kind would have been new, so
this is the rate at which new kinds bring new combinations (Good 1953, "The Population Frequencies of Species and the
Estimation of Population Parameters").

One estimate joins the two. Where chance expects e kinds with a combination, its rate is e times an unknown factor with
mean 1, gamma-distributed with shape a. If no kind had it, the factor's expectation is a / (a + e) (the shrinkage of
DuMouchel 1999, "Bayesian Data Mining in Large Frequency Tables"), and the cost is the negative logarithm of that,
log(1 + e / a). The shape is set so that all unseen combinations together have the rate that leaving one out shows.

Kinds are counted, not docs, because docs of one kind are not independent: they come from one template, or again in the
next epoch, from an augmenter, or as a pseudo-label. A set of kinds stays the same however often it is shown.
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
# A class, if it is known, and its docs' types in alphabetical order, twice where two entities have the type.
KindT = tuple[str | None, tuple[str, ...]]
N_HALVINGS = 60


@dataclass(frozen=True)
class Costs:
    """Costs in nats, finite and at least 0.

    types (n_classes, n_labels): of each entity of the type in a doc of the class.
    pairs (n_classes, n_labels, n_labels): of each two entities of the types, symmetric.
    """

    types: CountsT
    pairs: CountsT

    def of_counts(self, counts: NDArray[Any], index: int) -> CountsT:
        """The costs of docs of one class, (n_docs,). counts (n_docs, n_labels): entities of each type."""
        return counts @ self.types[index] + self.of_pairs(counts, index)

    def of_pairs(self, counts: NDArray[Any], index: int) -> CountsT:
        """The part of the costs that pairs have, (n_docs,)."""
        pairs = self.pairs[index]
        # an entity makes no pair with itself
        result: CountsT = ((counts @ pairs - pairs.diagonal()) * counts).sum(axis=1) / 2
        return result


class SeenTypes:
    """The kinds of docs that training has shown.

    Docs of unknown class are evidence only for classes that have no docs of their own, and only of which types go
    together.
    """

    def __init__(self, kinds: Iterable[KindT] = ()) -> None:
        self.kinds = set(kinds)
        self._costs: dict[tuple[tuple[str, ...], tuple[str, ...]], Costs] = {}

    def see(self, name: str | None, labels: Iterable[str]) -> None:
        """Take note of a doc. name (str | None): Its class. labels (Iterable[str]): The types of all its entities."""
        kind = (name, _kind_of(labels))
        if kind not in self.kinds:
            self.kinds.add(kind)
            self._costs.clear()

    def costs(self, classes: Sequence[str], labels: Sequence[str]) -> Costs:
        """The costs of these types in docs of these classes. Types and classes that no doc had cost nothing."""
        key = (tuple(classes), tuple(labels))
        if key not in self._costs:
            self._costs[key] = self._estimate(classes, labels)
        return self._costs[key]

    def novelty(self) -> float:
        """The share of kinds with a class that would cost something if they had not been seen themselves."""
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
        """RETURNS: The row of each class that was seen, and `count_kinds` of them."""
        known = sorted({name for name, _ in self.kinds if name is not None})
        rows = {name: index for index, name in enumerate(known)}
        kinds = ((rows[name], types) for name, types in self.kinds if name is not None)
        return rows, count_kinds(kinds, len(rows), labels)


def count_kinds(
    kinds: Iterable[tuple[int, Sequence[str]]], n_classes: int, labels: Sequence[str]
) -> tuple[CountsT, CountsT, CountsT]:
    """Count kinds by class, by class and type, and by class and two types.

    kinds (Iterable): Class and types of each kind, a type twice where two entities have it.
    RETURNS: (n_classes,), (n_classes, n_labels), (n_classes, n_labels, n_labels).
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
    """Kinds with a class and a type. sizes (n_classes,), types (n_classes, n_labels): of `count_kinds`."""
    in_all = types.sum(axis=0)
    expected = np.outer(sizes, in_all) / max(sizes.sum(), 1.0)
    return Counts(types, expected, np.outer(sizes > 1, in_all > 1))


def pair_counts(sizes: CountsT, types: CountsT, pairs: CountsT) -> "Counts":
    """Kinds of a class that have both types. pairs (n_classes, n_labels, n_labels): of `count_kinds`."""
    expected = types[:, :, None] * types[:, None, :] / np.maximum(sizes, 1.0)[:, None, None]
    return Counts(pairs, expected, (types > 1)[:, :, None] & (types > 1)[:, None, :])


def pair_costs(sizes: CountsT, types: CountsT, pairs: CountsT) -> CountsT:
    """The costs of two types in a class that has both; those of two different ones and those of one twice are
    estimated apart. RETURNS: (n_classes, n_labels, n_labels).
    """
    counts, costs = pair_counts(sizes, types, pairs), np.zeros_like(pairs)
    one, other = np.triu_indices(pairs.shape[1], k=1)
    costs[:, one, other] = costs[:, other, one] = unseen_costs(counts.at(one, other))
    twice = np.arange(pairs.shape[1])
    costs[:, twice, twice] = unseen_costs(counts.at(twice, twice))
    return costs


@dataclass
class Counts:
    """Numbers of kinds that have each of some combinations.

    counts: observed. expected: by chance. remain (bool): whether without one of them other kinds have both parts.
    """

    counts: CountsT
    expected: CountsT
    remain: BoolsT

    @property
    def needed_once(self) -> BoolsT:
        """Combinations of one kind, without which they would be new ones of parts that are known."""
        return (self.counts == 1) & self.remain

    def at(self, one: IntsT, other: IntsT) -> "Counts":
        """Those of some pairs of labels."""
        return Counts(self.counts[:, one, other], self.expected[:, one, other], self.remain[:, one, other])


def unseen_costs(found: Counts) -> CountsT:
    """The costs of combinations, in nats, of the same shape; 0 for those that are in some kind."""
    unseen = found.counts == 0
    # the next kind may be one more
    shape = gamma_shape(found.expected[unseen & (found.expected > 0)], float(found.needed_once.sum() + 1))
    return np.where(unseen, np.log1p(found.expected / shape), 0.0)


def gamma_shape(expected: CountsT, rate: float) -> float:
    """The a for which the sum of a * e / (a + e) over `expected` is `rate`; infinite if even the sum of e is less."""
    if expected.sum() <= rate:
        return np.inf
    # min(a, e) bounds each term from above, e * a / (a + greatest e) from below
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
