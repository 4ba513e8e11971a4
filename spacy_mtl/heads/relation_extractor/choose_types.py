"""The types of entities and their relations, decided together: each entity gets the type with which types and relations
are likeliest.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np

from ...protocols.arrays import BoolsT, FloatsT, IntsT
from ...protocols.found_annotation import FoundSpans
from .candidate_pairs import Pairs

# types that are so many nats less likely than the one that was found are not considered
MARGIN = 3.0
# combinations of types that are tried at most for entities that depend on one another; if there are more, one entity
# changes at a time
MAX_TRIED = 512


def with_alternatives(entities: FoundSpans, scores: FloatsT) -> tuple[FoundSpans, FloatsT]:
    """Add a candidate for each type that an entity may have instead of the one that was found.

    scores (FloatsT): How much likelier each type is than the found one, in nats, (n_entities, n_types).
    RETURNS: The candidates, ordered by place, and their scores (n_candidates,).
    """
    wanted = scores >= -MARGIN
    wanted[np.arange(len(scores)), entities.labels] = True
    rows, labels = np.nonzero(wanted)
    order = np.lexsort((entities.ends[rows], entities.starts[rows], entities.docs[rows]))
    rows, labels = rows[order], labels[order]
    docs, starts, ends = entities.docs[rows], entities.starts[rows], entities.ends[rows]
    return FoundSpans(docs, starts, ends, labels, entities.names), scores[rows, labels]


def ruled_out_relations(pairs: Pairs, probabilities: FloatsT, allowed: BoolsT) -> FloatsT:
    """Compute what it costs that the types of two candidates rule labels out. A relation is as likely as with those
    candidates at the same places with which it is likeliest (as in the linear program of Roth and Yih 2004).

    probabilities (FloatsT): Of each label given the types, 0 if they rule it out, (2 * n_pairs, n_labels).
    allowed (BoolsT): Whether the types allow the label, (2 * n_pairs, n_labels).
    RETURNS (FloatsT): Log-probability that none of the labels holds that are ruled out, (2 * n_pairs,).
    """
    places = places_of(pairs.entities)
    codes = places[pairs.heads] * (len(places) + 1) + places[pairs.tails]
    _, groups = np.unique(codes, return_inverse=True)
    largest = np.zeros((groups.max(initial=-1) + 1, probabilities.shape[1]))
    np.maximum.at(largest, groups, probabilities)
    without = np.log1p(-np.minimum(largest[groups], 1.0 - 1e-9))
    return np.where(allowed, 0.0, without).sum(axis=1)


def places_of(entities: FoundSpans) -> IntsT:
    """Number the places of ordered entities, (n_entities,): candidates at one place have the same number."""
    columns = np.stack([entities.docs, entities.starts, entities.ends])
    is_new = (np.diff(columns, axis=1, prepend=-1) != 0).any(axis=0)
    return np.cumsum(is_new) - 1


def choose_candidates(pairs: Pairs, probabilities: FloatsT, allowed: BoolsT, *, exclusive: bool) -> BoolsT:
    """Choose the candidate of each place that goes best with the relations, (n_entities,).

    pairs (Pairs): Pairs of candidates with their `prior`.
    probabilities (FloatsT): Of each label of each directed pair, (2 * n_pairs, n_labels).
    allowed (BoolsT): Labels that the types do not rule out, (2 * n_pairs, n_labels).
    exclusive (bool): Whether a pair has at most one label.
    """
    assert pairs.prior is not None
    if exclusive:
        likeliest = np.maximum(1.0 - probabilities.sum(axis=1), probabilities.max(axis=1, initial=0.0))
        decided = np.log(likeliest)
    else:
        decided = np.log(np.maximum(probabilities, 1.0 - probabilities)).sum(axis=1)
    ruled_out = ruled_out_relations(pairs, probabilities, allowed)
    values = (decided + ruled_out).reshape(-1, 2).sum(axis=1)
    return choose(pairs, pairs.prior, values)


def choose(pairs: Pairs, prior: FloatsT, values: FloatsT) -> BoolsT:
    """Choose one candidate for each place, so that the sum of their scores and of the values of their pairs is largest.

    pairs (Pairs): Pairs of candidates.
    prior (FloatsT): Scores of the candidates, (n_entities,).
    values (FloatsT): Log-probability of what is decided about each pair, (n_pairs,).
    RETURNS: Whether each candidate is chosen, (n_entities,).
    """
    places = places_of(pairs.entities)
    candidates: dict[int, list[int]] = defaultdict(list)
    for index, place in enumerate(places.tolist()):
        candidates[place].append(index)
    chosen = {place: max(own, key=prior.__getitem__) for place, own in candidates.items()}
    open_places = {place for place, own in candidates.items() if len(own) > 1}
    if open_places:
        links = _links(pairs, places, values, open_places)
        for group in _groups(open_places, links, places):
            _improve(group, candidates, chosen, links, prior, places)
    kept = np.zeros(len(places), dtype=bool)
    kept[list(chosen.values())] = True
    return kept


LinksT = Mapping[int, Mapping[int, float]]


def _links(pairs: Pairs, places: IntsT, values: FloatsT, open_places: set[int]) -> LinksT:
    """The values of the pairs of each candidate at an open place: candidate -> other candidate -> value."""
    links: dict[int, dict[int, float]] = defaultdict(dict)
    is_open = np.isin(places, list(open_places))
    rows = np.flatnonzero(is_open[pairs.first] | is_open[pairs.second])
    columns = (pairs.first[rows], pairs.second[rows], values[rows])
    for one, other, value in zip(*(column.tolist() for column in columns), strict=True):
        links[one][other] = links[other][one] = value
    return links


def _groups(open_places: set[int], links: LinksT, places: IntsT) -> Iterable[list[int]]:
    """Open places that depend on one another through pairs."""
    neighbours: dict[int, set[int]] = {place: set() for place in open_places}
    for one, others in links.items():
        found = {int(places[other]) for other in others} & open_places
        if int(places[one]) in open_places:
            neighbours[int(places[one])] |= found
    waiting = sorted(open_places)
    while waiting:
        group, reached = [], [waiting[0]]
        while reached:
            place = reached.pop()
            if place in neighbours:
                group.append(place)
                reached.extend(neighbours.pop(place))
        waiting = [place for place in waiting if place in neighbours]
        yield sorted(group)


def _improve(
    group: Sequence[int],
    candidates: Mapping[int, list[int]],
    chosen: dict[int, int],
    links: LinksT,
    prior: FloatsT,
    places: IntsT,
) -> None:
    """Change `chosen` at the places of a group: to the best combination, or one place at a time if there are too many.
    Each change makes the sum larger, so that this ends.
    """

    def value(trial: dict[int, int]) -> float:
        total = 0.0
        for candidate in trial.values():
            total += float(prior[candidate])
            for other, linked in links.get(candidate, {}).items():
                where = int(places[other])
                if where in trial:
                    # such a pair is met from both ends
                    total += 0.5 * linked if trial[where] == other else 0.0
                elif chosen[where] == other:
                    total += linked
        return total

    if np.prod([float(len(candidates[place])) for place in group]) <= MAX_TRIED:
        trials = (dict(zip(group, one, strict=True)) for one in product(*(candidates[place] for place in group)))
        largest: dict[int, int] = max(trials, key=value)
        chosen.update(largest)
        return
    changed = True
    while changed:
        changed = False
        for place in group:
            best = max(candidates[place], key=lambda candidate, place=place: value({place: candidate}))  # type: ignore[misc]
            if value({place: best}) > value({place: chosen[place]}) + 1e-9:
                chosen[place], changed = best, True
