"""Relations against gold: precision, recall and F1, micro and macro, in all and by label.

Strict: a relation is right if the places and types of both arguments and the label are. Boundaries: types don't count.
A gold relation whose entity was not found is missed.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from spacy.tokens import Span
from spacy.training import Example

from ..gold import boundaries
from ..gold_relations import Argument, GoldRelation, read_relations
from ..protocols.arrays import IntsT
from ..protocols.decisions import ArgumentsT, Decisions, RowT
from ..relation import UNKNOWN, relations
from .prf_counts import CountsT, RowsT, prf_score
from .tally import Tally, main_score_of_tally, side_by_side

SCORE_NAMES = ("p", "r", "f", "macro_f", "f_per_type")
LABEL = attrgetter("label")


def tally_scores(tally: Tally, rows: RowsT, prefix: str = "") -> dict[str, Any]:
    """Compute the scores of docs, None if none of them is annotated. Macro F1 is the mean over the labels that gold
    or predictions have.
    """
    names = [prefix + name for name in SCORE_NAMES]
    total = tally.total(rows)
    if total is None:
        return dict.fromkeys(names)
    by_label = {label: score.to_dict() for label, score in tally.by_name.total(rows).items()}
    micro = prf_score(total).to_dict()
    macro = float(np.mean([score["f"] for score in by_label.values()])) if by_label else 0.0
    return dict(zip(names, (micro["p"], micro["r"], micro["f"], macro, by_label), strict=True))


@dataclass
class RelationVerdicts:
    """What was found in docs, compared with their gold (Protocol `Verdicts`).

    strict, places, from_gold (Tally): With the types of the arguments, without, and of what was found between gold
        entities.
    correct (CountsT): (n_docs,): 1.0 if the relations are the gold ones, 0.0 if not, NaN without gold.
    rows (list[RowT]): The relations, see `Decisions`, each from the first token of its arguments to their last.
    arguments (list[ArgumentsT]): Their arguments.
    """

    strict: Tally
    places: Tally
    from_gold: Tally
    correct: CountsT
    rows: list[RowT]
    arguments: list[ArgumentsT]

    @property
    def counts(self) -> CountsT:
        """Annotated, true positives, false positives and false negatives of each doc, (n_docs, 4)."""
        return self.strict.counts

    def decisions(self) -> Decisions:
        """The gold relations and the predicted ones."""
        return Decisions.from_rows("relations", self.rows, self.arguments)

    def scores(self, rows: RowsT = None) -> dict[str, Any]:
        """Compute the strict scores, those of boundaries with the prefix `boundaries_`, and those with gold entities
        with the prefix `gold_entities_`.
        """
        others = tally_scores(self.places, rows, "boundaries_") | tally_scores(self.from_gold, rows, "gold_entities_")
        return tally_scores(self.strict, rows) | others


def judge_relations(
    examples: Sequence[Example],
    from_gold: Sequence[Sequence[GoldRelation] | None],
    *,
    key: str,
    spans_key: str | None,
    symmetric: Iterable[str],
) -> RelationVerdicts:
    """Compare predicted relations with gold.

    from_gold (Sequence[list[GoldRelation] | None]): What was found between the gold entities of each doc; None if that
        was not tried.
    key (str): The span group of the relations.
    spans_key (str | None): The span group of the gold entities; None for `doc.ents`.
    symmetric (Iterable[str]): Labels that hold in both directions.
    """
    strict, places, gold_entities = (Tally.of(len(examples)) for _ in range(3))
    correct = np.full(len(examples), np.nan)
    verdicts = RelationVerdicts(strict, places, gold_entities, correct, [], [])
    mutual = frozenset(symmetric)
    for row, eg in enumerate(examples):
        stored = read_relations(eg.reference, key, spans_key)
        if stored is None:
            continue
        found = [
            GoldRelation(_argument(one.head), _argument(one.tail), one.label) for one in relations(eg.predicted, key)
        ]
        gold, predicted = compared_relations(eg, stored, found, mutual)
        strict.add(row, gold, predicted, LABEL)
        places.add(row, without_types(gold, mutual), without_types(predicted, mutual), LABEL)
        own = from_gold[row]
        if own is not None:
            gold_entities.add(row, *compared_relations(eg, stored, own, mutual), LABEL)
        correct[row] = gold == predicted
        for labels, arguments in paired_rows(row, gold, predicted, boundaries(eg)[1]):
            verdicts.rows.append(labels)
            verdicts.arguments.append(arguments)
    return verdicts


def main_score_of_relations(counts: CountsT) -> CountsT:
    """Compute strict micro F1 from sums of `RelationVerdicts.counts`, (..., 4) -> (...)."""
    return main_score_of_tally(counts)


def compared_relations(
    example: Example, stored: Sequence[GoldRelation], found: Sequence[GoldRelation], symmetric: Collection[str]
) -> tuple[set[GoldRelation], set[GoldRelation]]:
    """The gold and the predicted relations, with boundaries that can be compared. Predictions for pairs of which it is
    not known how they are related are neither right nor wrong, and left out.
    """
    predicted_places, gold_places = boundaries(example)
    gold = {_moved(relation, gold_places, symmetric) for relation in stored}
    predicted = {_moved(relation, predicted_places, symmetric) for relation in found}
    unknown = {frozenset((one.head.place, one.tail.place)) for one in gold if one.label == UNKNOWN}
    gold = {one for one in gold if one.label != UNKNOWN}
    if not unknown:
        return gold, predicted
    known = {one for one in predicted if one in gold or frozenset((one.head.place, one.tail.place)) not in unknown}
    return gold, known


def without_types(found: Iterable[GoldRelation], symmetric: Collection[str]) -> set[GoldRelation]:
    """The relations with arguments of no type."""
    plain = (GoldRelation(one.head._replace(type=""), one.tail._replace(type=""), one.label) for one in found)
    return {_ordered(one, symmetric) for one in plain}


def paired_rows(
    doc: int, gold: Collection[GoldRelation], predicted: Collection[GoldRelation], places: IntsT
) -> Iterator[tuple[RowT, ArgumentsT]]:
    """Put gold and predicted labels of the same two arguments side by side, first those that agree.

    places (IntsT): Boundaries of the gold tokens, as the relations' places are counted, (n_tokens + 1,).
    RETURNS: each row of `Decisions`, and its arguments.
    """
    labels: dict[tuple[Argument, Argument], tuple[set[str], set[str]]] = {}
    for side, found in enumerate((gold, predicted)):
        for one in found:
            labels.setdefault((one.head, one.tail), (set(), set()))[side].add(one.label)
    for arguments in sorted(labels):
        head, tail = (_tokens_of(argument, places) for argument in arguments)
        for pair in side_by_side(*labels[arguments]):
            yield (doc, min(head[0], tail[0]), max(head[1], tail[1]), *pair), (*head, *tail)


def _tokens_of(argument: Argument, places: IntsT) -> tuple[int, int]:
    """First token and end of the gold tokens that an argument lies in."""
    start = int(np.searchsorted(places, argument.start, side="right")) - 1
    return start, int(np.searchsorted(places, argument.end, side="left"))


def _argument(span: Span) -> Argument:
    return Argument(span.start, span.end, span.label_)


def _moved(relation: GoldRelation, places: IntsT, symmetric: Collection[str]) -> GoldRelation:
    """Count boundaries as `boundaries` does. places: (n_tokens + 1,)."""
    head, tail = (
        Argument(int(places[argument.start]), int(places[argument.end]), argument.type)
        for argument in (relation.head, relation.tail)
    )
    return _ordered(GoldRelation(head, tail, relation.label), symmetric)


def _ordered(relation: GoldRelation, symmetric: Collection[str]) -> GoldRelation:
    """Put the arguments of a symmetric label in the order of the text."""
    if relation.label not in symmetric:
        return relation
    first, second = sorted((relation.head, relation.tail))
    return GoldRelation(first, second, relation.label)
