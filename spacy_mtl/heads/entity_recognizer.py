"""Entities by a linear-chain CRF over BIO or BILUO tags, written to `doc.ents` or `doc.spans`."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB, ENT_TYPE
from spacy.strings import get_string_id
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.types import Floats2d, Ints1d
from thinc.util import get_array_module, to_numpy

from ..crf.chain_targets import chain_target_loss, chain_targets, label_of_tag, tag_names
from ..crf.conditioned_crf import conditioned_crf, scatter_rows
from ..crf.forward_backward import forward_backward
from ..crf.joint_decoding import decode_jointly
from ..crf.k_best import likely_paths
from ..crf.likelihood import any_by_doc, likelihood_loss, select_docs
from ..crf.linear_chain import CRFScores, constrain, to_cpu_if_small
from ..crf.linear_chain import grown as grown_crf
from ..crf.path_probability import path_probabilities
from ..crf.seen_types import SeenTypes
from ..crf.span_log_odds import span_odds
from ..crf.span_probability import span_probabilities
from ..crf.span_types import span_type_scores
from ..crf.spans import ENT_ATTRS, Spans, add_strings, ent_values, is_blocked, set_ents
from ..crf.tag_scheme import MISSING, OUTSIDE, TagScheme, make_tag_scheme, n_labels_of
from ..crf.tempered import DOCS, ENTITIES, ChainEvidence, SpanEvidence, agreeing_logs, at_temperature
from ..crf.viterbi import viterbi
from ..gold import batch_entities, look_up, snippet
from ..layers.linear import grown
from ..layers.old_labels import old_scores, with_new_labels
from ..layers.ragged_rows import bounds
from ..layers.softmax import backprop_softmax, softmax
from ..metrics.span_metrics import SpanVerdicts, judge_spans, main_score_of_spans
from ..protocols.arrays import BoolsT, FloatsT, IntsT
from ..protocols.cannot_explain import CannotExplain
from ..protocols.found_annotation import FoundSpans
from ..protocols.head import HeadModelT
from ..protocols.head_calibration import Ranked, temperature_of
from ..protocols.head_confidence import RatedSpans
from ..protocols.head_explanation import Target, TargetName, check_label, check_place
from ..protocols.head_prediction import LabelledSpans
from ..protocols.soft_targets import KindT, SoftTarget, TargetsT
from ..protocols.token_values import TokenValues
from .bases.model_labels import ModelLabels
from .bases.scored_by_verdicts import DecidedByVerdicts

SchemeT = Literal["BIO", "BILUO"]


def make_entity_recognizer_v1(
    scheme: SchemeT = "BIO",
    condition_on: str | list[str] | None = None,
    consistent_with: str | None = None,
    spans_key: str | None = None,
) -> "EntityRecognizer":
    """Build an entity recognizer: a linear-chain CRF over the tokens that are not white space. It writes `doc.ents`, or
    a span group.

    A token whose entity is unset is missing gold: the loss sums over all tags that it could have. The loss is the
    negative log-likelihood, in nats per token. Main score: `f`, the F1 of exact spans; also `p`, `r` and `f_per_type`.

    scheme (str): Tag scheme: `"BIO"`, or `"BILUO"`, which has twice as many tags, with own ones for last and single
        tokens.
    condition_on (str | list[str] | None): Names of heads whose predicted distribution each token sees, such as the
        intent of its doc.
    consistent_with (str | None): Name of a doc classifier with exclusive classes to decode jointly with. The doc's
        class and entities become the best combination after its cost. An entity whose type training shows only in docs
        of other classes has a cost, and so have two entities whose types training never shows together in a doc of the
        class; the cost is estimated from training. Where this decides, `doc.cats` holds the shares of the best
        combination for each class.
    spans_key (str | None): Write to `doc.spans[spans_key]`, with probabilities in `attrs["scores"]`, instead of
        `doc.ents`. Gold is read from `doc.ents` either way.
    """
    heads = [condition_on] if isinstance(condition_on, str) else condition_on or []
    attrs: dict[str, Any] = {"labels": [], "scheme": scheme, "seen_types": SeenTypes()}
    model = conditioned_crf("entity_recognizer", len(heads), attrs)
    return EntityRecognizer(
        model, scheme=scheme, condition_on=heads, consistent_with=consistent_with, spans_key=spans_key
    )


class EntityRecognizer(DecidedByVerdicts, ModelLabels):
    """Head that finds entities. The loss is computed per token.

    A token whose entity IOB is unset is not annotated: the loss sums over all tags that it could have. White-space
    tokens are left out of the tag sequence, so that no entity starts or ends on one.

    labels (tuple[str, ...]): Entity types.
    """

    main_score = "f"

    def __init__(
        self,
        model: HeadModelT,
        *,
        scheme: SchemeT,
        condition_on: Sequence[str],
        consistent_with: str | None,
        spans_key: str | None,
    ) -> None:
        self.name = "entity_recognizer"
        self.model = model
        self.scheme = scheme
        self.condition_on = tuple(condition_on)
        self.consistent_with = consistent_with
        self.spans_key = spans_key

    @property
    def tag_scheme(self) -> TagScheme:
        """The tags of the CRF."""
        return make_tag_scheme(self.scheme, len(self.labels))

    @property
    def gold_attributes(self) -> tuple[str, ...]:
        """`doc.ents`, even if the head writes to `doc.spans`."""
        return ("doc.ents",)

    @property
    def overlap_fix(self) -> str:
        """What the user can do if two heads write to the same place."""
        return "give one of them a spans_key of its own"

    @property
    def writes(self) -> dict[str, str]:
        """`doc.ents` or one key of `doc.spans`."""
        return {"doc.ents" if self.spans_key is None else f"doc.spans[{self.spans_key!r}]": ""}

    @property
    def standard_scores(self) -> Mapping[str, str]:
        """The score keys of spaCy's `ner`, or of its `spancat`."""
        prefix = "ents" if self.spans_key is None else f"spans_{self.spans_key}"
        return {f"{prefix}_p": "p", f"{prefix}_r": "r", f"{prefix}_f": "f", f"{prefix}_per_type": "f_per_type"}

    def _grow(self, n_labels: int) -> None:
        """Grow the CRF and the projections to the tags of the new type."""
        _, crf_layer, *projections = self.model.layers
        if crf_layer.has_param("transitions"):
            n_tags = self.tag_scheme.n_tags
            self.model.replace_node(crf_layer, grown_crf(crf_layer, n_tags))
            for layer in projections:
                self.model.replace_node(layer, grown(layer, n_out=n_tags))

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Collect all types of the gold entities, in alphabetical order."""
        labels: set[str] = set()
        for eg in examples:
            labels.update(ent.label_ for ent in eg.reference.ents)
            self._refuse_negative(labels, eg)
        self.model.attrs["labels"] = sorted(labels)

    def gold_labels(self, doc: Doc) -> set[str]:
        """Get the types of the gold entities."""
        return {ent.label_ for ent in doc.ents}

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Count the entities by type. A token whose entity is set is one unit."""
        counts.update(ent.label_ for ent in doc.ents)
        return int((doc.to_array(ENT_IOB) != MISSING).sum())

    def count_units(self, examples: Sequence[Example]) -> int:
        """Count the tokens whose entity is set."""
        return sum(int(np.count_nonzero(eg.reference.to_array(ENT_IOB) != MISSING)) for eg in examples)

    def absent_labels(self, doc: Doc) -> set[str] | None:
        """Every type that the doc has no entity of, if the entities of all tokens are set."""
        return set() if (doc.to_array(ENT_IOB) == MISSING).any() else None

    def rename_labels(self, source: Doc, target: Doc, mapping: Mapping[str, str | None]) -> None:
        """Rename entity types. The tokens of a dropped entity become missing gold, not "outside", since there was
        something.
        """
        kept: list[Span] = []
        dropped: list[Span] = []
        for ent in source.ents:
            label = mapping.get(ent.label_, ent.label_)
            span = Span(target, ent.start, ent.end, label=label or ent.label_, kb_id=ent.kb_id)
            (dropped if label is None else kept).append(span)
        target.set_ents(kept, missing=dropped, default="unmodified")

    def has_gold(self, example: Example) -> bool:
        """Check whether the entity of any token is set."""
        return bool(example.reference.has_annotation("ENT_IOB"))

    def found_spans(self, annotations: Spans) -> FoundSpans:
        """Get the decoded spans as arrays."""
        return FoundSpans(annotations.docs, annotations.starts, annotations.ends, annotations.labels, self.labels)

    def type_scores(self, annotations: Spans) -> NDArray[np.float64]:
        """Compute how much likelier each type is than the one that a decoded span has, in nats, (n_spans, n_labels).
        The classes of docs that it is decoded with (`consistent_with`) are not considered.
        """
        assert annotations.rank_types is not None
        return annotations.rank_types()

    def with_types(self, annotations: Spans, labels: NDArray[np.int64]) -> Spans:
        """Give decoded spans other types. Their probabilities change as the types' scores do."""
        changed = annotations.labels != labels
        if not changed.any():
            return annotations

        def rate() -> FloatsT:
            assert annotations.rate is not None
            gains = self.type_scores(annotations)[np.arange(len(labels)), labels] / temperature_of(self.model, ENTITIES)
            return np.minimum(annotations.rate() * np.exp(gains), 1.0)

        probabilities = None if annotations.probabilities is None else rate()
        return replace(annotations, labels=labels, probabilities=probabilities, rank_types=None, rate=rate)

    def rated_spans(self, annotations: Spans) -> RatedSpans | None:
        """Get the probabilities of what is written to `doc.ents`."""
        if self.spans_key is not None:
            return None
        assert annotations.rate is not None
        return RatedSpans(annotations.docs, annotations.starts, annotations.ends, annotations.rate())

    def condition(self, scores: CRFScores, lengths: Ints1d) -> tuple[Floats2d, Callable[[Floats2d], CRFScores]]:
        """The softmax of the emissions at each token, (n_tokens, n_tags); zeros for white space."""
        probabilities = softmax(scores.emissions)
        n_tokens = int(lengths.sum())

        def backprop(gradient: Floats2d) -> CRFScores:
            d_emissions = backprop_softmax(probabilities, gradient[scores.kept])
            xp = get_array_module(d_emissions)
            others = [xp.zeros_like(part) for part in scores.potentials[1:]]
            return scores.with_potentials([d_emissions, *others])

        return scatter_rows(probabilities, scores.kept, n_tokens), backprop

    def get_loss(self, examples: Sequence[Example], scores: CRFScores) -> tuple[float, CRFScores | None]:
        """Negative log-likelihood in nats of the annotation, summed over all tag sequences that agree with it."""
        iob, labels = self._gold(examples)
        iob, labels = iob[scores.kept], labels[scores.kept]
        learns = any_by_doc(iob != MISSING, scores.lengths)
        if not learns.any():
            return 0.0, None
        n_units = sum(len(eg.predicted) for eg in examples)
        constrained = constrain(to_cpu_if_small(scores), self.tag_scheme)
        part, rows = select_docs(constrained, learns)
        tags, possible = self.tag_scheme.encode(iob[rows], labels[rows], part.lengths)
        loss, gradient = likelihood_loss(part, tags, possible)
        d_emissions = scatter_rows(gradient.emissions, rows, len(scores.emissions))
        xp = get_array_module(scores.emissions)
        d_scores = scores.with_potentials(map(xp.asarray, (d_emissions, *gradient.potentials[1:])))
        return loss / n_units, d_scores * (1.0 / n_units)

    def get_teacher_loss(self, teacher: CRFScores, scores: CRFScores) -> tuple[float, CRFScores]:
        """Cross-entropy against the teacher's distribution over tag sequences, over the types that the teacher has."""
        scheme = make_tag_scheme(self.scheme, n_labels_of(self.scheme, teacher.emissions.shape[1]))
        old = scores.with_potentials(map(old_scores, scores.potentials, teacher.potentials))
        target = forward_backward(constrain(teacher, scheme)).marginals(teacher)
        lattice = forward_backward(constrain(old, scheme))
        pairs = zip(old.potentials, target.potentials, strict=True)
        loss = lattice.log_partition - sum(float((mine * theirs).sum(dtype="d")) for mine, theirs in pairs)
        n_units = max(len(scores.kept), 1)
        d_old = (lattice.marginals(old) + target * -1.0) * (1.0 / n_units)
        return loss / n_units, scores.with_potentials(map(with_new_labels, d_old.potentials, scores.potentials))

    @property
    def target_kind(self) -> KindT:
        """The tags of a sequence."""
        return "chain"

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The tags of the CRF, such as "B-city"."""
        return tag_names(self.tag_scheme, self.labels)

    def labels_of_columns(self, columns: Sequence[str]) -> list[str]:
        """The entity types of tags."""
        return sorted({label for tag in columns if (label := label_of_tag(tag)) is not None})

    def soft_targets(
        self, docs: Sequence[Doc], scores: CRFScores, *, temperature: float, top: int
    ) -> Sequence[SoftTarget]:
        """Get the CRF's marginals: of the likeliest tags of each token, and of neighbouring tags. They are those of the
        head alone, also if it is decoded jointly with a classifier.
        """
        return chain_targets(docs, scores, self.tag_scheme, self.labels, temperature=temperature, top=top)

    def get_target_loss(
        self, docs: Sequence[Doc], targets: TargetsT, scores: CRFScores, weights: FloatsT
    ) -> tuple[float, CRFScores | None]:
        """Cross-entropy against the teacher's distribution over tag sequences, in nats per token."""
        return chain_target_loss(docs, targets, scores, weights, kind=self.scheme, labels=self.labels, name=self.name)

    def decode(self, docs: Sequence[Doc], scores: CRFScores) -> Spans:
        """The spans of the best valid tag sequences, none of them over a token that the doc has blocked."""
        constrained, tags = self._decided(scores)
        starts, ends, labels = self.tag_scheme.spans(tags)
        rate = partial(self._span_probabilities, constrained, tags, starts, ends)
        probabilities = None if self.spans_key is None else rate()
        first_tokens, last_tokens = scores.kept[starts], scores.kept[ends - 1]
        offsets = np.cumsum([0, *(len(doc) for doc in docs)])
        owners = np.searchsorted(offsets, first_tokens, side="right") - 1
        begins = offsets[owners]
        rank_types = partial(span_type_scores, constrained, tags, starts, ends, self.tag_scheme)
        return Spans(owners, first_tokens - begins, last_tokens + 1 - begins, labels, probabilities, rank_types, rate)

    def update_constraints(self, examples: Iterable[Example], classes: Iterable[str | None]) -> None:
        """Record the entity types of each doc with annotated entities. Recording a doc again changes nothing, so all
        batches of a training may be passed. A doc without a class only informs about classes that no other doc has.
        """
        seen_types = self.model.attrs["seen_types"]
        for eg, name in zip(examples, classes, strict=True):
            annotation = eg.reference.to_array([ENT_IOB, ENT_TYPE]).tobytes()
            if not seen_types.is_repeated(name, annotation) and eg.reference.has_annotation("ENT_IOB"):
                seen_types.see(name, [ent.label_ for ent in eg.reference.ents])

    def gold_costs(
        self, examples: Iterable[Example], gold: Iterable[str | None], classes: Sequence[str]
    ) -> list[float]:
        """Compute what the gold entities of each doc cost given its class, in nats, where both are annotated."""
        costs = self.model.attrs["seen_types"].costs(classes, self.labels)
        result = []
        for eg, name in zip(examples, gold, strict=True):
            if name is not None and eg.reference.has_annotation("ENT_IOB"):
                types = [ent.label_ for ent in eg.reference.ents]
                counts = np.array([[types.count(label) for label in self.labels]])
                result.append(float(costs.of_counts(counts, classes.index(name))[0]))
        return result

    def novelty(self) -> float:
        """Compute the share of recorded sets of entity types with a type, or a pair of types, that no other set of the
        class has.
        """
        seen_types: SeenTypes = self.model.attrs["seen_types"]
        return seen_types.novelty()

    def decode_jointly(self, scores: CRFScores, classes: Sequence[str], logits: Floats2d) -> tuple[CRFScores, Floats2d]:
        """Decode entities and class together: the combination with the best score after subtracting its cost."""
        costs = self.model.attrs["seen_types"].costs(classes, self.labels)
        return decode_jointly(constrain(scores, self.tag_scheme), logits, self.tag_scheme, costs)

    def set_annotations(self, docs: Sequence[Doc], annotations: Spans) -> None:
        """Write the spans. Entities that a doc already has stay, and predicted ones that overlap them are left out.
        Blocked tokens stay blocked.
        """
        label_ids = add_strings(docs, self.labels)
        if self.spans_key is None:
            set_ents(docs, annotations, label_ids)
            return
        annotations.write_groups(docs, self.spans_key, label_ids)

    def prediction(self, doc: Doc) -> LabelledSpans:
        """The entities, or the spans of its group with their probabilities."""
        return LabelledSpans.of_ents(doc) if self.spans_key is None else LabelledSpans.of_group(doc, self.spans_key)

    def token_values(self, docs: Sequence[Doc], annotations: Spans) -> TokenValues | None:
        """The entities of each token; None for a span group."""
        if self.spans_key is not None:
            return None
        values = ent_values(docs, annotations, add_strings(docs, self.labels))
        return TokenValues(tuple(ENT_ATTRS), values, ENT_IOB)

    def targets(self, doc: Doc, scores: CRFScores, annotations: Spans) -> list[Target]:
        """The entities that were found, as in "artist[2:4]": label, first token and the one after the last."""
        columns = (annotations.starts, annotations.ends, annotations.labels)
        names = [
            TargetName(self.labels[label], (start, end))
            for start, end, label in zip(*(column.tolist() for column in columns), strict=True)
        ]
        return [self.find_target(name, doc, scores, annotations) for name in names]

    def find_target(self, name: TargetName, doc: Doc, scores: CRFScores, annotations: Spans) -> Target:
        """Any span: its log-odds under the CRF, against all tag sequences without it. What the doc is decoded with
        jointly (`consistent_with`) is left out.
        """
        label = check_label(name, self.labels, self.name)
        start, end = check_place(name, doc, self.name, example=TargetName(name.label, (0, 1)))
        first, last = np.searchsorted(scores.kept, (start, end)).tolist()
        odds = None
        if start < end and last > first and scores.kept[first] == start and scores.kept[last - 1] == end - 1:
            odds = span_odds(self.tag_scheme, self._possible(doc, scores), first, last, label)
        if odds is None:
            raise CannotExplain(
                f"head {self.name!r}: the target {str(name)!r} is no entity that the head could find: it must have a "
                "token, begin and end on one that is not white space, and contain no blocked token"
            )
        return Target(name, "log-odds", tuple(range(start, end)), odds.measure)

    def _possible(self, doc: Doc, scores: CRFScores) -> NDArray[np.bool_]:
        """The tags that a doc allows at each token that is not white space, (n_kept, n_tags)."""
        blocked = is_blocked(doc.to_array([ENT_IOB, ENT_TYPE]))
        return self.tag_scheme.around_blocked(blocked, to_numpy(scores.kept))

    def verdicts(self, examples: Sequence[Example]) -> SpanVerdicts:
        """Compare the predicted spans with the gold entities.

        The scores are precision, recall and F1 of exact spans (`p`, `r`, `f`), and the same by type. A span is right if
        its first and last character and its type are. Predictions on tokens whose gold is unset don't count.
        The decisions are the gold spans and the predicted ones; two at the same place are one row.
        """
        return judge_spans(examples, self._found)

    def main_score_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """F1 of exact spans."""
        return main_score_of_spans(counts)

    @property
    def learns_from(self) -> frozenset[str]:
        """`doc.ents`, also where it writes to `doc.spans`."""
        return frozenset({"doc.ents"})

    def confidence(self, docs: Sequence[Doc], scores: CRFScores) -> NDArray[np.float64]:
        """Get the probability of all spans of a doc together: that of the decoded tag sequence under the CRF."""
        constrained, tags = self._decided(scores)
        return path_probabilities(at_temperature(constrained, temperature_of(self.model, DOCS)), tags)

    def evidence(self, examples: Sequence[Example], scores: CRFScores) -> list[SpanEvidence | ChainEvidence]:
        """The spans of docs with gold entities, but those on tokens without gold; and all entities of each doc."""
        constrained, tags = self._decided(scores)
        lengths = to_numpy(scores.lengths)
        gold, possible, is_known = self._gold_tags(examples, scores)
        starts, ends, labels = self.tag_scheme.spans(tags)
        right = set(zip(*(column.tolist() for column in self.tag_scheme.spans(gold.clip(min=0))), strict=True))
        found = zip(starts.tolist(), ends.tolist(), labels.tolist(), strict=True)
        correct = np.array([span in right for span in found], dtype=bool)
        has_gold = np.array([self.has_gold(eg) for eg in examples], dtype=bool)
        owners = np.repeat(np.arange(len(lengths)), lengths)
        unset = np.cumsum([0, *(gold < 0)])
        judged = (unset[ends] == unset[starts]) & has_gold[owners[starts]]
        of_spans = SpanEvidence(
            owners[starts][judged], correct[judged], constrained, tags, starts[judged], ends[judged]
        )
        is_right = ~any_by_doc(~possible[np.arange(len(tags)), tags], lengths) & is_known
        with_gold = np.flatnonzero(has_gold & (lengths > 0))
        return [of_spans, ChainEvidence(with_gold, is_right, constrained, tags, possible, is_known)]

    @property
    def one_holds(self) -> bool:
        """One labelling of the whole doc is true."""
        return True

    def rank(self, docs: Sequence[Doc], scores: CRFScores, *, least: float, most: int) -> list[Ranked]:
        """The likeliest labellings of each doc: lists of entities (first token, end, label)."""
        constrained, decided = self._decided(scores)
        tempered = at_temperature(constrained, temperature_of(self.model, DOCS))
        lengths, kept = to_numpy(scores.lengths), to_numpy(scores.kept)
        firsts, begins = bounds(lengths), bounds(np.array([len(doc) for doc in docs], dtype="int64"))
        found = []
        for doc, paths in enumerate(likely_paths(tempered, least=least, most=most)):
            tokens = kept[firsts[doc] : firsts[doc + 1]] - begins[doc]
            outcomes = [self._entities(tags, tokens) for tags in paths.tags]
            is_first = len(paths.tags) > 0 and np.array_equal(paths.tags[0], decided[firsts[doc] : firsts[doc + 1]])
            found.append(Ranked(outcomes, paths.logs, int(is_first)))
        return found

    def gold_logs(self, examples: Sequence[Example], scores: CRFScores) -> FloatsT:
        """The log-probability of each doc's gold entities; NaN where they are not set for all tokens."""
        constrained, _ = self._decided(scores)
        _, possible, is_known = self._gold_tags(examples, scores)
        logs = agreeing_logs(at_temperature(constrained, temperature_of(self.model, DOCS)), possible)
        logs = np.where(is_known, logs, -np.inf)
        whole = [not (eg.reference.to_array(ENT_IOB) == MISSING).any() for eg in examples]
        return np.where(whole, logs, np.nan)

    def _entities(self, tags: IntsT, tokens: IntsT) -> list[tuple[int, int, str]]:
        """The entities of tags: first token, end and label. tokens (IntsT): The place of each tag in the doc."""
        starts, ends, labels = self.tag_scheme.spans(tags)
        columns = (tokens[starts], tokens[ends - 1] + 1, labels)
        return [
            (start, end, self.labels[label])
            for start, end, label in zip(*(column.tolist() for column in columns), strict=True)
        ]

    def _span_probabilities(self, scores: CRFScores, tags: IntsT, starts: IntsT, ends: IntsT) -> FloatsT:
        return span_probabilities(at_temperature(scores, temperature_of(self.model, ENTITIES)), tags, starts, ends)

    def _gold_tags(self, examples: Sequence[Example], scores: CRFScores) -> tuple[IntsT, BoolsT, BoolsT]:
        """RETURNS: the gold tag of each token, (n_kept,), -1 where several agree with the gold; the tags that agree,
        (n_kept, n_tags); and whether the head knows all types of a doc, (n_docs,).
        """
        iob, labels, stored = self._look_up(examples)
        is_new = ((labels < 0) & (stored != 0))[scores.kept]
        lengths = to_numpy(scores.lengths)
        is_known = ~any_by_doc(is_new, lengths)
        tags, possible = self.tag_scheme.encode(iob[scores.kept], labels[scores.kept], lengths[lengths > 0])
        return tags, possible, is_known

    def same_annotation(self, one: Doc, other: Doc) -> bool:
        """Check whether the same spans were found in both docs."""
        mine, theirs = ({(span.start, span.end, span.label_) for span in self._found(doc)} for doc in (one, other))
        return mine == theirs

    def copy_annotation(self, source: Doc, target: Doc) -> None:
        """Copy the spans to `doc.ents`, and mark all other tokens as outside."""
        spans = [Span(target, span.start, span.end, label=span.label_) for span in self._found(source)]
        target.set_ents(spans, default="outside")

    def _decided(self, scores: CRFScores) -> tuple[CRFScores, NDArray[np.int64]]:
        """Constrained potentials, and the decoded tags (n_tokens,): those of `decode_jointly`, else the best."""
        if scores.tags is not None:
            return scores, scores.tags
        constrained = constrain(scores, self.tag_scheme)
        return constrained, viterbi(constrained)

    def _found(self, doc: Doc) -> Iterable[Span]:
        """The predicted spans."""
        return doc.ents if self.spans_key is None else doc.spans.get(self.spans_key, ())

    def _gold(self, examples: Sequence[Example]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """ENT_IOB and label index (-1 for none) of each token of the batch, (n_tokens,)."""
        iob, labels, stored = self._look_up(examples)
        unknown = np.flatnonzero((labels < 0) & (stored != 0))
        if len(unknown):
            ends = np.cumsum([len(eg.predicted) for eg in examples])
            index = int(np.searchsorted(ends, unknown[0], side="right"))
            reference = examples[index].reference
            label = reference.vocab.strings[int(stored[unknown[0]])]
            self._refuse_negative([label], examples[index])
            raise ValueError(
                f"head {self.name!r}: label {label!r} in doc {snippet(reference.text)} was not seen at "
                f"initialisation; add it with add_label({label!r}, head={self.name!r}), or initialise with examples or "
                "labels that have it"
            )
        return iob, labels

    def _look_up(self, examples: Sequence[Example]) -> tuple[IntsT, IntsT, NDArray[np.uint64]]:
        """ENT_IOB, label index (-1 for none, or one that the head does not know) and stored label of each token of the
        batch, (n_tokens,) each.
        """
        flat = np.concatenate(batch_entities(examples))
        labels = look_up(flat[:, 1], [get_string_id(label) for label in self.labels])
        # An entity without a type is spaCy's way to block a token: nothing is there.
        iob = np.where((labels < 0) & (flat[:, 0] != MISSING), OUTSIDE, flat[:, 0].astype("int64"))
        return iob, labels, flat[:, 1]

    def _refuse_negative(self, labels: Iterable[str], example: Example) -> None:
        """Raise a ValueError for a label like "!PERSON", spaCy 2's way to say that a span is no PERSON."""
        for label in labels:
            if label.startswith("!"):
                raise ValueError(
                    f"head {self.name!r}: label {label!r} in doc {snippet(example.reference.text)} says what an entity "
                    "is not, which can't be learned from; give it its true label, or leave its tokens unset with "
                    "doc.set_ents(entities, missing=[span])"
                )
