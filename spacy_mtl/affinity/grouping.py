"""Which heads to train together, given how much each of them helps each other one.

As in the paper (Fifty et al. 2021), a head's affinity in a group is the mean of those of the group's other heads for
it, and a grouping is as good as the mean over all heads. A head that is alone has 0: nothing helps it, nothing hurts
it. Here each head is in one group, so that as many pipelines are trained as there are groups.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

GroupT = tuple[str, ...]
# Affinity of the first head for the second. Pairs that were never measured together count as 0.
PairsT = Mapping[tuple[str, str], float]
# Up to this many units all partitions are tried: 21,147 of them.
EXHAUSTIVE = 9


@dataclass
class Grouping:
    """groups (list[list[str]]): The heads of each group. affinity (float): Mean over all heads."""

    groups: list[list[str]]
    affinity: float


def best_groupings(heads: Sequence[str], pairs: PairsT, units: Sequence[GroupT], max_groups: int) -> list[Grouping]:
    """Find the best grouping for each number of groups: of all that are possible for up to nine units, else by merging
    the two groups whose union is best, again and again.

    heads (Sequence[str]): All heads, in the order of the config.
    units (Sequence[GroupT]): Heads that must stay together; every head is in one unit.
    RETURNS (list[Grouping]): For 1 group, 2 groups and so on.
    """
    tried = partitions(list(units)) if len(units) <= EXHAUSTIVE else merges(list(units), pairs)
    best: dict[int, tuple[float, list[GroupT]]] = {}
    for groups in tried:
        value = mean_affinity(groups, pairs)
        if len(groups) <= max_groups and value > best.get(len(groups), (float("-inf"),))[0]:
            best[len(groups)] = value, groups
    return [Grouping(in_order(groups, heads), value) for _, (value, groups) in sorted(best.items())]


def choose(groupings: Iterable[Grouping]) -> Grouping:
    """The best grouping; of equal ones that with the fewest groups."""
    return max(groupings, key=lambda found: (round(found.affinity, 12), -len(found.groups)))


def mean_affinity(groups: Iterable[GroupT], pairs: PairsT) -> float:
    """The mean over all heads of their affinity in their group."""
    return fmean(affinity_in(group, head, pairs) for group in groups for head in group)


def affinity_in(group: GroupT, head: str, pairs: PairsT) -> float:
    """The mean affinity of the other heads of a group for this one."""
    others = [pairs.get((other, head), 0.0) for other in group if other != head]
    return fmean(others) if others else 0.0


def partitions(units: list[GroupT]) -> Iterator[list[GroupT]]:
    """All ways to put the units into groups."""
    if not units:
        yield []
        return
    first, *rest = units
    for groups in partitions(rest):
        yield [first, *groups]
        for place, group in enumerate(groups):
            yield [*groups[:place], first + group, *groups[place + 1 :]]


def merges(units: list[GroupT], pairs: PairsT) -> Iterator[list[GroupT]]:
    """Each unit alone, then one group less each time."""
    groups = units
    yield groups
    while len(groups) > 1:
        choices = [
            [groups[one] + groups[other], *(group for place, group in enumerate(groups) if place not in (one, other))]
            for other in range(len(groups))
            for one in range(other)
        ]
        groups = max(choices, key=lambda choice: mean_affinity(choice, pairs))
        yield groups


def in_order(groups: Iterable[GroupT], heads: Sequence[str]) -> list[list[str]]:
    """Groups and heads in the order of the config."""
    return sorted((sorted(group, key=heads.index) for group in groups), key=lambda group: heads.index(group[0]))
