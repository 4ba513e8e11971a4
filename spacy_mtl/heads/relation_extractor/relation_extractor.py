"""Directed, labelled relations between entities, written to a span group."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import logger
from thinc.types import Floats2d
from thinc.util import get_array_module, to_numpy

from ...gold import snippet
from ...gold_relations import (
    GoldRelation,
    aligned_relations,
    gold_entities,
    labels_of,
    read_relations,
)
from ...layers.label_evidence import LabelEvidence, OddsEvidence
from ...layers.linear import grow_output
from ...layers.log_odds import log_odds
from ...layers.old_labels import old_scores, with_new_labels
from ...metrics.relation_metrics import RelationVerdicts, judge_relations, main_score_of_relations
from ...protocols.arrays import AnnotationsT, ArrayT, BoolsT, FloatsT
from ...protocols.cannot_explain import CannotExplain
from ...protocols.found_annotation import FindsSpans, FoundSpans, RanksTypes
from ...protocols.head import Head, HeadModelT
from ...protocols.head_calibration import temperature_of, threshold_of_fit
from ...protocols.head_explanation import Target, TargetName, check_label, check_place
from ...protocols.head_prediction import LabelledPairs
from ...relation import RELATIONS, UNKNOWN, relations
from ..bases.model_labels import ModelLabels
from ..bases.scored_by_verdicts import DecidedByVerdicts
from .candidate_pairs import Pairs, find_pairs
from .choose_types import choose_candidates, with_alternatives
from .copied_relations import copy_relations, rename_relations, same_relations
from .decoded_relations import FoundRelations
from .entity_source import gold_spans, mixed, spans_of
from .gold_faults import find_fault, warn_of_lost
from .gold_rows import gold_rows
from .likely_relations import calibrated_labels, certainty_of, likely_labels, may_hold, only_in_text_order
from .lookup_table import grown_table
from .pair_network import RelationScores, n_outputs, pair_network
from .relation_evidence import relation_evidence
from .relation_losses import average_directions, gold_losses, probabilities_of, teacher_losses
from .type_constraints import TypeConstraints, TypesT

# What each head has found between the gold entities of a predicted doc, by its name. It lasts as long as the doc.
FROM_GOLD: WeakKeyDictionary[Doc, dict[str, list[GoldRelation]]] = WeakKeyDictionary()
TOO_MANY_PAIRS = (
    "head '%s': doc %s has %d more pairs of entities than max_pairs = %d, and those with the most entities between "
    "them are left out; this is said once. Split the doc, set max_distance, or raise max_pairs"
)


def make_relation_extractor_v1(
    depends_on: str | None = None,
    entities_key: str | None = None,
    key: str = RELATIONS,
    exclusive: bool = False,
    threshold: float = 0.5,
    symmetric: list[str] = [],  # noqa: B006  (a config needs a plain default; it is only read)
    types: Literal["seen"] | dict[str, Any] | None = "seen",
    max_distance: int | None = None,
    max_pairs: int = 5000,
    found_entities: float = 0.0,
    joint: bool = False,
    width: int = 96,
) -> "RelationExtractor":
    """Build a relation extractor: directed, labelled relations between two entities of a doc, written to a span group.

    The group `doc.spans["relations"]` has the arguments in pairs [head0, tail0, head1, tail1, …], and in its `attrs`
    one of the "labels" and "scores" for each pair; `spacy_mtl.relations(doc)` reads it. Gold is read from the same
    group: a doc without the group is missing gold, an empty group says that there are no relations, and the label ""
    that it is not known how these two are related. The loss is the cross-entropy of all candidate pairs in both
    directions, in nats per token, so that it adds up with that of the entities. Main score: `f`, the micro F1 of
    relations whose arguments, with their types, and label are right; those of entities that were not found are missed.
    Also `p`, `r`, `macro_f` and `f_per_type`; the same without the types as `boundaries_f` and so on; and the same
    with gold entities as `gold_entities_f` and so on, for which an evaluation runs the network once more.

    depends_on (str | None): Name of the head of the same component that finds the entities. None takes those that an
        earlier component has set.
    entities_key (str | None): The entities are in `doc.spans[entities_key]` instead of `doc.ents`: the gold ones, and
        without `depends_on` also those to relate.
    key (str): The span group of the relations.
    exclusive (bool): Allow one label for each directed pair (softmax). False allows any number (sigmoid).
    threshold (float): Probability from which a relation counts as found. Only used if labels are not exclusive.
    symmetric (list[str]): Labels that hold in both directions, such as `married_to`. Found ones are written once, in
        the order of the text.
    types (str | dict[str, list[list[str]]] | None): Which types of head and tail each label can have: `"seen"` for
        those of training, or pairs by label, `{"works_for": [["PER", "ORG"]]}`, where a label that is not named can
        have all; null for all.
    max_distance (int | None): Maximum number of tokens between two entities that can be related; null for any.
    max_pairs (int): Maximum number of pairs of entities of a doc. Beyond that, pairs with many other entities between
        them are left out, with a warning.
    found_entities (float): Share of the training docs, from 0 to 1, for which the entities that are found now are
        candidates too, so that the head learns to survive wrong ones.
    joint (bool): Decide the types of the found entities together with the relations: types that rule out a likely
        relation cost as much as it is likely, and each entity gets the type with which all are likeliest. Needs
        `depends_on`.
    width (int): Width of the hidden layers.
    """
    if joint and depends_on is None:
        raise ValueError("RelationExtractor: joint is true, so depends_on must name the head that finds the entities")
    check_settings(threshold=threshold, max_distance=max_distance, max_pairs=max_pairs, found_entities=found_entities)
    attrs: dict[str, Any] = {"labels": [], "types": [], "seen": [], "n_extra": int(exclusive)}
    return RelationExtractor(
        pair_network(width, attrs),
        depends_on=depends_on,
        entities_key=entities_key,
        key=key,
        exclusive=exclusive,
        threshold=threshold,
        symmetric=symmetric,
        types=types,
        max_distance=max_distance,
        max_pairs=max_pairs,
        found_entities=found_entities,
        joint=joint,
    )


def check_settings(
    *, threshold: float = 0.5, max_distance: int | None = None, max_pairs: int = 1, found_entities: float = 0.0
) -> None:
    """Raise a ValueError for a setting that has no meaning."""
    for name, value in (("threshold", threshold), ("found_entities", found_entities)):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"RelationExtractor: {name} is {value}; it must be from 0 to 1")
    if max_distance is not None and max_distance < 0:
        raise ValueError(
            f"RelationExtractor: max_distance is {max_distance}, expected a number of tokens, or null for any distance"
        )
    if max_pairs < 1:
        raise ValueError(f"RelationExtractor: max_pairs is {max_pairs}; it must be at least 1")


class RelationExtractor(DecidedByVerdicts, ModelLabels):
    """Head that relates the entities of a doc. The loss is computed per token.

    In training the candidates are the gold entities of docs with gold relations. Relations that no candidate pair
    stands for are not learned and count as missed: an entity related to itself, one that is farther than
    `max_distance`, or one whose tokens the pipeline's tokenizer divides otherwise.

    labels (tuple[str, ...]): Labels of relations.
    """

    main_score = "f"
    standard_scores: Mapping[str, str] = {}
    overlap_fix = "give one of them a key of its own"

    def __init__(
        self,
        model: HeadModelT,
        *,
        depends_on: str | None,
        entities_key: str | None,
        key: str,
        exclusive: bool,
        threshold: float,
        symmetric: Sequence[str],
        types: TypesT,
        max_distance: int | None,
        max_pairs: int,
        found_entities: float,
        joint: bool,
    ) -> None:
        self.name = "relation_extractor"
        self.model = model
        self.depends_on = () if depends_on is None else (depends_on,)
        self.entities_key = entities_key
        self.key = key
        self.exclusive = exclusive
        self.threshold = threshold
        self.symmetric = tuple(symmetric)
        self.constraints = TypeConstraints(types, self.symmetric)
        self.max_distance = max_distance
        self.max_pairs = max_pairs
        self.found_entities = found_entities
        self.revises = depends_on if joint else None
        self._finder: FindsSpans | None = None
        self._said = False

    @property
    def gold_attributes(self) -> tuple[str, ...]:
        """The span group of the relations."""
        return tuple(self.writes)

    @property
    def writes(self) -> dict[str, str]:
        """The span group of the relations."""
        return {f"doc.spans[{self.key!r}]": ""}

    def connect(self, heads: Mapping[str, Head]) -> None:
        """Remember the head that finds the entities. Raise a ValueError if it finds no spans."""
        for name in self.depends_on:
            finder = heads[name]
            if not isinstance(finder, FindsSpans):
                raise ValueError(
                    f"head {self.name!r}: depends_on names {name!r}, but a {type(finder).__name__} finds no entities; "
                    "name an entity recognizer, or leave depends_on out to relate the entities of an earlier component"
                )
            if self.revises and not isinstance(finder, RanksTypes):
                raise ValueError(
                    f"head {self.name!r}: joint is true, but a {type(finder).__name__} can't say how likely other "
                    "types are; set joint = false"
                )
            self._finder = finder

    def _grow(self, n_labels: int) -> None:
        """Grow the output layer and the bias by types."""
        bias = self.model.get_ref("type_bias")
        if bias.has_param("E"):
            grow_output(self.model, n_outputs(self.model))
            self.model.replace_node(bias, grown_table(bias, n_outputs(self.model)))

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Collect all labels of the gold relations, in alphabetical order."""
        labels: set[str] = set()
        for eg in examples:
            self._check(eg)
            labels.update(labels_of(eg.reference, self.key))
        self.model.attrs["labels"] = sorted(labels)

    def fit_gold(self, examples: Sequence[Example]) -> None:
        """Collect the types of the gold entities, and which label has which types."""
        types: set[str] = set()
        for eg in examples:
            types.update(ent.label_ for ent in gold_entities(eg.reference, self.entities_key))
            for relation in read_relations(eg.reference, self.key, self.entities_key) or ():
                types.update((relation.head.type, relation.tail.type))
        self.model.attrs["types"] = sorted(types)
        self.model.attrs["seen"] = []
        self._see(examples)

    def gold_labels(self, doc: Doc) -> set[str]:
        """Get the labels of the gold relations."""
        return set(labels_of(doc, self.key))

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Count the relations by label. A token of an annotated doc is one unit."""
        counts.update(labels_of(doc, self.key))
        return len(doc)

    def absent_labels(self, doc: Doc) -> set[str] | None:
        """Every label that the doc has no relation of, if all that hold are known."""
        return set() if any(relation.label == UNKNOWN for relation in relations(doc, self.key)) else None

    def rename_labels(self, source: Doc, target: Doc, mapping: Mapping[str, str | None]) -> None:
        """Rename labels, and the types of arguments. A dropped label becomes the unknown label "", so that nothing is
        learned of this pair, since there was something.
        """
        if self.key in source.spans:
            rename_relations(source, target, self.key, mapping)

    def has_gold(self, example: Example) -> bool:
        """Check whether the doc has the span group."""
        return self.key in example.reference.spans

    def find_mistake(self, example: Example) -> str | None:
        """Say what is wrong with the doc's relations, such as an argument that is no entity."""
        try:
            self._check(example)
        except ValueError as error:
            return str(error)
        return None

    def check_gold(self, examples: Sequence[Example]) -> None:
        """Raise a ValueError for the first wrong gold relation, and for settings that name unknown labels. Log a
        warning for relations that no pair of entities stands for.
        """
        named = {"symmetric": self.symmetric, "types": [label for label, *_ in self.constraints.given or ()]}
        for setting, labels in named.items():
            unknown = sorted(set(labels) - set(self.labels))
            if unknown:
                raise ValueError(
                    f"head {self.name!r}: {setting} names {unknown}, but the labels are {list(self.labels)}; correct "
                    "the names, or leave them out"
                )
        for eg in examples:
            self._check(eg)
        warn_of_lost(self.name, examples, self.key, self.max_distance)

    def prepare(
        self, docs: Sequence[Doc], examples: Sequence[Example] | None, found: Mapping[str, AnnotationsT]
    ) -> Pairs:
        """Find the candidate pairs: of gold entities in training, for some docs with those that are found now, and of
        the found ones in prediction.
        """
        if examples is None and self.revises:
            assert isinstance(self._finder, RanksTypes)
            annotations = found[self.revises]
            spans, scores = self._finder.found_spans(annotations), self._finder.type_scores(annotations)
            candidates, prior = with_alternatives(spans, scores)
            return replace(self._all_pairs(docs, candidates), prior=prior)
        if examples is None:
            return self._pairs(docs, self._found_entities(docs, found))
        for eg in examples:
            self._check(eg)
        self._see(examples)
        entities = gold_spans(examples, self.key, self.entities_key)
        if self.found_entities:
            annotated = [doc for doc, eg in enumerate(examples) if self.has_gold(eg)]
            drawn = np.random.random(len(annotated)) < self.found_entities
            chosen = [doc for doc, flag in zip(annotated, drawn.tolist(), strict=True) if flag]
            if chosen:
                entities = mixed(entities, self._found_entities(docs, found), chosen)
        return self._pairs(docs, entities)

    def get_loss(self, examples: Sequence[Example], scores: RelationScores) -> tuple[float, RelationScores | None]:
        """Cross-entropy in nats of the labels of each candidate pair in both directions: of the one label or none if
        labels are exclusive, else the sum of the labels' binary ones. Labels that the types rule out are left out.
        """
        pairs = scores.pairs
        gold = self._gold(examples, pairs)
        if np.isnan(gold).all():
            return 0.0, None
        logits = self._mutual(to_numpy(scores.logits).astype("d"))
        losses, d_logits = gold_losses(gold, logits, self._allowed(pairs), exclusive=self.exclusive)
        n_units = int(pairs.lengths.sum())
        xp = get_array_module(scores.logits)
        d_scores = xp.asarray(self._mutual(d_logits / n_units).astype("float32"))
        return losses / n_units, RelationScores(d_scores, pairs)

    def get_teacher_loss(self, teacher: RelationScores, scores: RelationScores) -> tuple[float, RelationScores]:
        """Cross-entropy against the teacher's probabilities of the same pairs, over the labels that the teacher has.
        Directions that the types left no label for have no loss.
        """
        target = probabilities_of(self._mutual(teacher.logits), exclusive=self.exclusive)
        old = self._mutual(old_scores(scores.logits, teacher.logits))
        loss, d_old = teacher_losses(target, old, exclusive=self.exclusive, known=teacher.pairs.possible)
        n_units = max(int(scores.pairs.lengths.sum()), 1)
        d_old = self._mutual(d_old / n_units)
        return loss / n_units, RelationScores(with_new_labels(d_old, scores.logits), scores.pairs)

    def decode(self, docs: Sequence[Doc], scores: RelationScores) -> FoundRelations:
        """The relations that are likely enough, or the likeliest of each directed pair if labels are exclusive."""
        scores = self._worth_deciding(scores)
        pairs = scores.pairs
        probabilities, holds = self._decided(scores)
        rows, labels = np.nonzero(holds)
        return FoundRelations(
            pairs.entities, pairs.heads[rows], pairs.tails[rows], labels, probabilities[rows, labels], self.labels
        )

    def revise(self, scores: RelationScores, annotations: AnnotationsT) -> AnnotationsT:
        """Give the found entities the types that were decided together with their relations."""
        if scores.pairs.prior is None:
            return annotations
        assert isinstance(self._finder, RanksTypes)
        probabilities, _ = self._likely(scores)
        kept = np.flatnonzero(self._chosen(scores.pairs, probabilities))
        candidates, spans = scores.pairs.entities, self._finder.found_spans(annotations)
        columns = (candidates.docs[kept], candidates.starts[kept], candidates.ends[kept], candidates.labels[kept])
        types = {tuple(row[:3]): row[3] for row in zip(*(column.tolist() for column in columns), strict=True)}
        places = zip(spans.docs.tolist(), spans.starts.tolist(), spans.ends.tolist(), strict=True)
        return self._finder.with_types(annotations, np.array([types[place] for place in places], dtype="int64"))

    def set_annotations(self, docs: Sequence[Doc], annotations: FoundRelations) -> None:
        """Write the relations, in the place of those that a doc has."""
        annotations.write(docs, self.key)

    def prediction(self, doc: Doc) -> LabelledPairs:
        """The relations with their probabilities."""
        found = relations(doc, self.key)
        rows = [(one.label, one.head.start, one.head.end, one.tail.start, one.tail.end) for one in found]
        return LabelledPairs(rows, [one.score for one in found])

    def targets(self, doc: Doc, scores: RelationScores, annotations: FoundRelations) -> list[Target]:
        """The relations that were found, as in "works_for[0:2:5:6]": label, first token of the head and the one after
        its last, and the same of the tail.
        """
        pairs = scores.pairs
        columns = (annotations.heads.tolist(), annotations.tails.tolist(), annotations.labels.tolist())
        found = []
        for head, tail, label in zip(*columns, strict=True):
            rows = np.flatnonzero((pairs.heads == head) & (pairs.tails == tail))
            found.append(self._target(pairs, int(rows[0]), label))
        return found

    def find_target(self, name: TargetName, doc: Doc, scores: RelationScores, annotations: FoundRelations) -> Target:
        """Any label of any pair of entities, in both directions, that their types allow."""
        label, pairs = check_label(name, self.labels, self.name), scores.pairs
        places = check_place(name, doc, self.name, example=TargetName(name.label, (0, 1, 2, 3)))
        entities = pairs.entities
        rows = np.flatnonzero(
            (entities.starts[pairs.heads] == places[0])
            & (entities.ends[pairs.heads] == places[1])
            & (entities.starts[pairs.tails] == places[2])
            & (entities.ends[pairs.tails] == places[3])
        )
        rows = rows[self._allowed(pairs)[rows, label]]
        if not len(rows):
            raise CannotExplain(
                f"head {self.name!r}: the target {str(name)!r} is no relation that the head could find: its arguments "
                "must be two entities of the doc, near enough, whose types the label can have"
            )
        probabilities, _ = self._likely(scores)
        return self._target(pairs, int(rows[probabilities[rows, label].argmax()]), label)

    def _target(self, pairs: Pairs, row: int, label: int) -> Target:
        """The log-odds of a label of a directed pair: its logit, or if labels are exclusive those against all others
        that the types allow, and none.
        """
        column = label + self.model.attrs["n_extra"]
        ruled_out = ~np.hstack([np.ones(self.model.attrs["n_extra"], dtype=bool), self._allowed(pairs)[row]])

        def measure(scores: RelationScores) -> tuple[float, RelationScores]:
            logits: ArrayT = self._mutual(to_numpy(scores.logits).astype("d"))
            gradient: ArrayT = np.zeros(logits.shape)
            if self.exclusive:
                value, gradient[row] = log_odds(np.where(ruled_out, -np.inf, logits[row]), column)
            else:
                value, gradient[row, column] = float(logits[row, column]), 1.0
            d_logits = self._mutual(gradient).astype("float32")
            return value, RelationScores(get_array_module(scores.logits).asarray(d_logits), scores.pairs)

        entities, arguments = pairs.entities, (pairs.heads[row], pairs.tails[row])
        places = tuple(int(edges[index]) for index in arguments for edges in (entities.starts, entities.ends))
        tokens = (*range(*places[:2]), *range(*places[2:]))
        return Target(TargetName(self.labels[label], places), "log-odds", tokens, measure)

    def verdicts(self, examples: Sequence[Example]) -> RelationVerdicts:
        """Compare the predicted relations with the gold ones.

        The scores are precision, recall, micro and macro F1 of the relations, in all and by label: strict, with the
        boundaries and types of both arguments; with `boundaries_`, without their types; and with `gold_entities_`,
        strict, of what the head finds between the gold entities, if the component has scored it.
        The decisions are the gold relations and the predicted ones, each from the first token of its arguments to their
        last.
        """
        return judge_relations(
            examples,
            [FROM_GOLD.get(eg.predicted, {}).get(self.name) for eg in examples],
            key=self.key,
            spans_key=self.entities_key,
            symmetric=self.symmetric,
        )

    def prepare_from_gold(self, docs: Sequence[Doc], examples: Sequence[Example]) -> Pairs:
        """Find the candidate pairs of gold entities."""
        return self._pairs(docs, gold_spans(examples, self.key, self.entities_key))

    def note_from_gold(self, docs: Sequence[Doc], annotations: FoundRelations) -> None:
        """Keep the relations of gold entities until the docs are scored."""
        for doc, found in zip(docs, annotations.as_tuples(len(docs)), strict=True):
            FROM_GOLD.setdefault(doc, {})[self.name] = found

    def main_score_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Strict micro F1."""
        return main_score_of_relations(counts)

    @property
    def learns_from(self) -> frozenset[str]:
        """The span group of the relations."""
        return frozenset(self.writes)

    def confidence(self, docs: Sequence[Doc], scores: RelationScores) -> NDArray[np.float64]:
        """Get the probability of the least certain decision about a pair of each doc; 1 for a doc without pairs."""
        probabilities, holds = self._decided(scores, in_text_order=False)
        sure = certainty_of(probabilities, holds, exclusive=self.exclusive)
        least = np.ones(len(docs))
        np.minimum.at(least, np.repeat(scores.pairs.entities.docs[scores.pairs.first], 2), sure)
        return least

    def evidence(self, examples: Sequence[Example], scores: RelationScores) -> list[LabelEvidence | OddsEvidence]:
        """The labels of candidate pairs in annotated docs. Probabilities are written for those that are found."""
        pairs = scores.pairs
        known = set(self.labels) | {UNKNOWN}
        relations_of = (aligned_relations(eg, self.key, self.entities_key) for eg in examples)
        gold = gold_rows(
            [own if own is None else [relation for relation in own if relation.label in known] for own in relations_of],
            pairs,
            self.labels,
            self.symmetric,
        )
        logits: ArrayT = self._mutual(to_numpy(scores.logits).astype("d"))
        found = relation_evidence(
            gold,
            logits,
            self._allowed(pairs),
            self._decided(scores)[1],
            np.repeat(pairs.entities.docs[pairs.first], 2),
            exclusive=self.exclusive,
            threshold=self.threshold,
        )
        return [found]

    def with_threshold(self, threshold: float) -> "RelationExtractor":
        """Copy the head with another threshold, which counts where relations with a lower probability were not written
        before. The copy shares the network.
        """
        check_settings(threshold=threshold)
        changed = copy(self)
        changed.threshold = threshold
        return changed

    def same_annotation(self, one: Doc, other: Doc) -> bool:
        """Check whether the same relations were found in both docs."""
        return same_relations(one, other, self.key)

    def copy_annotation(self, source: Doc, target: Doc) -> None:
        """Copy the relations, without their probabilities."""
        copy_relations(source, target, self.key)

    def _found_entities(self, docs: Sequence[Doc], found: Mapping[str, AnnotationsT]) -> FoundSpans:
        """The entities that the other head, or an earlier component, has found."""
        if not self.depends_on:
            return spans_of(docs, self.entities_key)
        assert self._finder is not None
        return self._finder.found_spans(found[self.depends_on[0]])

    def _pairs(self, docs: Sequence[Doc], entities: FoundSpans) -> Pairs:
        """The pairs of entities that any label can hold between."""
        pairs = self._all_pairs(docs, entities)
        possible = self.constraints.table(self.model.attrs).any(pairs.types[pairs.heads], pairs.types[pairs.tails])
        pairs.possible, kept = possible, possible[::2] | possible[1::2]
        return pairs if kept.all() else pairs.only(kept)

    def _all_pairs(self, docs: Sequence[Doc], entities: FoundSpans) -> Pairs:
        """The pairs of entities that are near enough."""
        pairs = find_pairs(
            entities,
            [len(doc) for doc in docs],
            self.model.attrs["types"],
            max_distance=self.max_distance,
            max_pairs=self.max_pairs,
        )
        self._warn_of_many(docs, pairs)
        return pairs

    def _see(self, examples: Iterable[Example]) -> None:
        """Note which label has which types, for constraints seen in training."""
        docs = (eg.reference for eg in examples)
        self.constraints.see(docs, self.model.attrs, key=self.key, entities_key=self.entities_key)

    def _allowed(self, pairs: Pairs) -> BoolsT:
        """Which labels each directed pair can have, (2 * n_pairs, n_labels)."""
        return self.constraints.table(self.model.attrs).labels(pairs.types[pairs.heads], pairs.types[pairs.tails])

    def _gold(self, examples: Sequence[Example], pairs: Pairs) -> FloatsT:
        """The gold labels of each directed pair, (2 * n_pairs, n_labels): 1, 0, or NaN where they are missing."""
        gold = [aligned_relations(eg, self.key, self.entities_key) for eg in examples]
        known = {*self.labels, UNKNOWN}
        for eg, found in zip(examples, gold, strict=True):
            for label in (relation.label for relation in found or () if relation.label not in known):
                raise ValueError(
                    f"head {self.name!r}: label {label!r} in doc {snippet(eg.reference.text)} was not seen at "
                    f"initialisation; add it with add_label({label!r}, head={self.name!r}), or initialise with "
                    "examples or labels that have it"
                )
        return gold_rows(gold, pairs, self.labels, self.symmetric)

    def _mutual(self, values: Floats2d) -> Floats2d:
        """Average the two directions of symmetric labels, (2 * n_pairs, n_outputs). It is its own backprop."""
        n_extra = self.model.attrs["n_extra"]
        n_known = values.shape[1] - n_extra
        return average_directions(
            values, [n_extra + column for column in self._symmetric_columns() if column < n_known]
        )

    def _symmetric_columns(self) -> list[int]:
        """The indices of the symmetric labels."""
        return [self.labels.index(label) for label in self.symmetric]

    def _decided(self, scores: RelationScores, *, in_text_order: bool = True) -> tuple[NDArray[np.float64], BoolsT]:
        """The probability of each label of each directed pair at the head's temperature, and whether it is found,
        (2 * n_pairs, n_labels) each.

        in_text_order (bool): Find symmetric labels in the order of the text only.
        """
        probabilities, holds = self._likely(scores)
        kept = np.ones((len(holds), 1), dtype=bool)
        if scores.pairs.prior is not None:
            chosen = self._chosen(scores.pairs, probabilities)
            kept = (chosen[scores.pairs.heads] & chosen[scores.pairs.tails])[:, None]
        temperature = temperature_of(self.model, "relations")
        if temperature != 1.0:
            logits: ArrayT = self._mutual(to_numpy(scores.logits).astype("d"))
            probabilities = calibrated_labels(
                logits,
                self._allowed(scores.pairs),
                exclusive=self.exclusive,
                threshold=self.threshold,
                temperature=temperature,
                fitted_with=threshold_of_fit(self.model, self.threshold),
            )
        probabilities, holds = probabilities * kept, holds & kept
        return probabilities, only_in_text_order(holds, self._symmetric_columns()) if in_text_order else holds

    def _worth_deciding(self, scores: RelationScores) -> RelationScores:
        """The pairs that can have a relation by their logits alone, which most have not. Candidates among which one is
        to be chosen are decided together, so all of them stay.
        """
        pairs = scores.pairs
        if pairs.prior is not None:
            return scores
        logits: ArrayT = to_numpy(scores.logits)
        mutual: ArrayT = self._mutual(logits)
        likely = may_hold(mutual, exclusive=self.exclusive, threshold=self.threshold)
        if pairs.possible is not None:
            likely &= pairs.possible
        kept = likely[::2] | likely[1::2]
        return RelationScores(logits[np.repeat(kept, 2)], pairs.only(kept))

    def _likely(self, scores: RelationScores) -> tuple[NDArray[np.float64], BoolsT]:
        """The probability of each label of each directed pair, given the types of its candidates, and whether it would
        be found, (2 * n_pairs, n_labels) each.
        """
        logits: ArrayT = self._mutual(to_numpy(scores.logits).astype("d"))
        allowed = self._allowed(scores.pairs)
        return likely_labels(logits, allowed, exclusive=self.exclusive, threshold=self.threshold)

    def _chosen(self, pairs: Pairs, probabilities: NDArray[np.float64]) -> BoolsT:
        """The candidate of each place that goes best with the relations, (n_entities,)."""
        return choose_candidates(pairs, probabilities, self._allowed(pairs), exclusive=self.exclusive)

    def _check(self, example: Example) -> None:
        """Raise a ValueError for gold that can't be learned from."""
        doc = example.reference
        if self.key not in doc.spans:
            return
        fault = find_fault(doc, self.key, self.entities_key, exclusive=self.exclusive, symmetric=self.symmetric)
        if fault is not None:
            raise ValueError(f"head {self.name!r}: {fault}")

    def _warn_of_many(self, docs: Sequence[Doc], pairs: Pairs) -> None:
        """Say once that pairs of a doc are left out."""
        if not self._said and pairs.left_out.any():
            self._said = True
            index = int(np.flatnonzero(pairs.left_out)[0])
            logger.warning(
                TOO_MANY_PAIRS, self.name, snippet(docs[index].text), int(pairs.left_out[index]), self.max_pairs
            )
