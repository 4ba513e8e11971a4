"""Labels of suggested spans, which may overlap, written to `doc.spans` as spaCy's `spancat` writes them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from spacy.pipeline.spancat import Suggester, build_ngram_suggester
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from thinc.api import NumpyOps
from thinc.util import get_array_module, to_numpy

from ...crf.spans import Spans, add_strings
from ...gold import snippet
from ...layers.calibrated import calibrated_sigmoid
from ...layers.class_losses import binary_cross_entropy
from ...layers.label_evidence import OddsEvidence
from ...layers.old_labels import old_scores, with_new_labels
from ...layers.softmax import sigmoid, softplus
from ...metrics.span_group_metrics import judge_span_groups
from ...metrics.span_metrics import SpanVerdicts, main_score_of_spans
from ...protocols.arrays import AnnotationsT, BoolsT, FloatsT, IntsT
from ...protocols.cannot_explain import CannotExplain
from ...protocols.found_annotation import FindsSpans, FoundSpans
from ...protocols.head import Head, HeadModelT
from ...protocols.head_calibration import temperature_of, threshold_of_fit
from ...protocols.head_explanation import Target, TargetName, check_label, check_place
from ...protocols.head_prediction import LabelledSpans
from ..bases.model_labels import ModelLabels
from ..bases.scored_by_verdicts import DecidedByVerdicts
from .span_network import Candidates, SpanScores, span_network
from .span_pooling import SpanPoolingKindT

# lengths of the n-grams that are suggested if nothing else is set, as spaCy's spancat has them
SIZES = [1, 2, 3]


def make_span_classifier_v1(
    suggester: Suggester | None = None,
    depends_on: str | None = None,
    spans_key: str = "sc",
    threshold: float = 0.5,
    max_positive: int | None = None,
    allow_overlap: bool = True,
    negative_weight: float = 1.0,
    pooling: list[SpanPoolingKindT] = ["mean", "max", "first", "last"],  # noqa: B006  (it is only read)
    hidden_width: int = 128,
) -> "SpanClassifier":
    """Build a span classifier: each suggested span may have any of the labels. Spans may overlap and lie in one
    another. It reads and writes `doc.spans[spans_key]`, with probabilities in `attrs["scores"]`, as spaCy's `spancat`.

    A doc whose gold does not have the key is missing gold; an empty group says that there is none. A gold span without
    a label says that the labels of this span are not known. The loss is the binary cross-entropy of all labels of all
    suggested spans, in nats per token. Main score: `f`, the F1 of exact spans; also `p`, `r` and `f_per_type`. Gold
    spans that are not suggested count as missed.

    suggester (Suggester | None): Suggests spans of docs: a function of spaCy's registry `misc`, such as
        `spacy.ngram_suggester.v1`, `spacy.ngram_range_suggester.v1` or `spacy.preset_spans_suggester.v1`. Null suggests
        all spans of one to three tokens.
    depends_on (str | None): Name of a head that finds spans, such as an `EntityRecognizer`: its spans are classified.
        In training, gold spans are added to those that it finds. Only allowed without `suggester`.
    spans_key (str): Key of `doc.spans`.
    threshold (float): Minimum probability of a label.
    max_positive (int | None): Maximum number of labels of a span; null for any number.
    allow_overlap (bool): Write spans that overlap. False keeps the most probable ones, and needs `max_positive = 1`.
    negative_weight (float): Factor of the loss of suggested spans that have no gold label, at least 0.
    pooling (list[str]): How to combine the vectors of a span's tokens: `"mean"`, `"max"`, `"first"`, `"last"`, or
        several of them, concatenated.
    hidden_width (int): Width of the hidden layer between pooled vectors and labels.
    """
    if suggester is not None and depends_on is not None:
        raise ValueError(
            f"SpanClassifier: suggester and depends_on = {depends_on!r} are both set; leave out one of them"
        )
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"SpanClassifier: threshold is {threshold}; it must be a probability, from 0 to 1")
    if max_positive is not None and max_positive < 1:
        raise ValueError(f"SpanClassifier: max_positive is {max_positive}; it must be at least 1, or null")
    if not allow_overlap and max_positive != 1:
        raise ValueError(
            f"SpanClassifier: allow_overlap is false, but max_positive is {max_positive}, and two labels of one span "
            "overlap; set max_positive = 1"
        )
    if not negative_weight >= 0.0:
        raise ValueError(f"SpanClassifier: negative_weight is {negative_weight}; it must be at least 0")
    if not pooling:
        raise ValueError("SpanClassifier: pooling is empty; name at least one of 'mean', 'max', 'first', 'last'")
    return SpanClassifier(
        span_network(pooling, hidden_width),
        suggester=suggester or build_ngram_suggester(SIZES),
        depends_on=depends_on,
        spans_key=spans_key,
        threshold=threshold,
        max_positive=max_positive,
        allow_overlap=allow_overlap,
        negative_weight=negative_weight,
    )


class SpanClassifier(DecidedByVerdicts, ModelLabels):
    """Head that labels suggested spans. The loss is computed per token.

    A doc whose gold does not have the key is not annotated.

    labels (tuple[str, ...]): Labels of spans.
    """

    main_score = "f"
    overlap_fix = "give one of them another spans_key"

    def __init__(
        self,
        model: HeadModelT,
        *,
        suggester: Suggester,
        depends_on: str | None,
        spans_key: str,
        threshold: float,
        max_positive: int | None,
        allow_overlap: bool,
        negative_weight: float,
    ) -> None:
        self.name = "span_classifier"
        self.model = model
        self.suggester = suggester
        self.depends_on: tuple[str, ...] = () if depends_on is None else (depends_on,)
        self.spans_key = spans_key
        self.threshold = threshold
        self.max_positive = max_positive
        self.allow_overlap = allow_overlap
        self.negative_weight = negative_weight
        self._finder: FindsSpans | None = None

    @property
    def gold_attributes(self) -> tuple[str, ...]:
        """One key of `doc.spans`."""
        return (f"doc.spans[{self.spans_key!r}]",)

    @property
    def writes(self) -> dict[str, str]:
        """One key of `doc.spans`."""
        return {f"doc.spans[{self.spans_key!r}]": ""}

    @property
    def standard_scores(self) -> Mapping[str, str]:
        """The score keys of spaCy's `spancat`."""
        prefix = f"spans_{self.spans_key}"
        return {f"{prefix}_p": "p", f"{prefix}_r": "r", f"{prefix}_f": "f", f"{prefix}_per_type": "f_per_type"}

    def connect(self, heads: Mapping[str, Head]) -> None:
        """Remember the head whose spans are classified."""
        for name in self.depends_on:
            finder = heads[name]
            if not isinstance(finder, FindsSpans):
                raise ValueError(
                    f"head {self.name!r}: depends_on names {name!r}, but a {type(finder).__name__} finds no spans; "
                    "name a head that does, such as an EntityRecognizer, or set a suggester"
                )
            self._finder = finder

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Collect all labels of the gold spans, in alphabetical order."""
        self.model.attrs["labels"] = sorted({label for eg in examples for label in self.gold_labels(eg.reference)})

    def gold_labels(self, doc: Doc) -> set[str]:
        """Get the labels of the gold spans."""
        return {span.label_ for span in self._group(doc)} - {""}

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Count the spans by label. A token is one unit."""
        counts.update(span.label_ for span in self._group(doc) if span.label_)
        return len(doc)

    def absent_labels(self, doc: Doc) -> set[str] | None:
        """Every label that no span of the doc has, if the labels of all spans are known."""
        return set() if any(not span.label_ for span in self._group(doc)) else None

    def rename_labels(self, source: Doc, target: Doc, mapping: Mapping[str, str | None]) -> None:
        """Rename labels of spans. A span whose label is dropped stays without a label, which is missing gold."""
        if self.spans_key not in source.spans:
            return
        group = source.spans[self.spans_key]
        spans = [
            Span(target, span.start, span.end, label=mapping.get(span.label_, span.label_) or "") for span in group
        ]
        target.spans[self.spans_key] = SpanGroup(target, name=self.spans_key, spans=spans)

    def has_gold(self, example: Example) -> bool:
        """Check whether gold has the key."""
        return self.spans_key in example.reference.spans

    def check_gold(self, examples: Sequence[Example]) -> None:
        """Raise a ValueError for a label that the head does not know."""
        for eg in examples:
            self._check_labels(eg.reference)

    def find_mistake(self, example: Example) -> str | None:
        """Say which label the head does not know."""
        try:
            self._check_labels(example.reference)
        except ValueError as error:
            return str(error)
        return None

    def found_spans(self, annotations: Spans) -> FoundSpans:
        """Get the decoded spans as arrays."""
        return FoundSpans(annotations.docs, annotations.starts, annotations.ends, annotations.labels, self.labels)

    def prepare(
        self, docs: Sequence[Doc], examples: Sequence[Example] | None, found: Mapping[str, AnnotationsT]
    ) -> Candidates:
        """Suggest spans."""
        if self._finder is None:
            return Candidates.of([self._suggest(docs)])
        (name,) = self.depends_on
        spans = self._finder.found_spans(found[name])
        rows = [np.stack([to_numpy(spans.docs), to_numpy(spans.starts), to_numpy(spans.ends)], axis=1).astype("int64")]
        self.check_gold(examples or ())
        return Candidates.of([*rows, self._gold(examples or ())[0]])

    def get_loss(self, examples: Sequence[Example], scores: SpanScores) -> tuple[float, SpanScores | None]:
        """Binary cross-entropy of all labels of the suggested spans, in docs that are annotated."""
        if not any(self.has_gold(eg) for eg in examples):
            return 0.0, None
        self.check_gold(examples)
        target, weights = self._target(examples, scores.spans)
        xp = get_array_module(scores.logits)
        gold, factors = xp.asarray(target), xp.asarray(weights)[:, None]
        losses = (softplus(scores.logits) - gold * scores.logits) * factors
        d_logits = (sigmoid(scores.logits) - gold) * factors / scores.n_tokens
        return float(losses.sum()) / scores.n_tokens, replace(scores, logits=d_logits.astype(scores.logits.dtype))

    def get_teacher_loss(self, teacher: SpanScores, scores: SpanScores) -> tuple[float, SpanScores]:
        """Cross-entropy against the teacher's probabilities, over the labels that the teacher has."""
        target, old = sigmoid(teacher.logits), old_scores(scores.logits, teacher.logits)
        loss = float(binary_cross_entropy(target, old).sum()) / scores.n_tokens
        d_old = (sigmoid(old) - target) / scores.n_tokens
        return loss, replace(scores, logits=with_new_labels(d_old, scores.logits))

    def decode(self, docs: Sequence[Doc], scores: SpanScores) -> Spans:
        """The spans with labels whose probability reaches the threshold."""
        probabilities, is_kept = self._decided(scores)
        rows, labels = np.nonzero(is_kept)
        spans = scores.spans
        return Spans(spans.docs[rows], spans.starts[rows], spans.ends[rows], labels, probabilities[rows, labels])

    def set_annotations(self, docs: Sequence[Doc], annotations: Spans) -> None:
        """Write the spans and their probabilities. A group that the doc has under the key is replaced."""
        annotations.write_groups(docs, self.spans_key, add_strings(docs, self.labels))

    def prediction(self, doc: Doc) -> LabelledSpans:
        """The spans of its group with their probabilities."""
        return LabelledSpans.of_group(doc, self.spans_key)

    def targets(self, doc: Doc, scores: SpanScores, annotations: Spans) -> list[Target]:
        """The spans that were labelled, as in "TIME[2:4]": label, first token and the one after the last."""
        columns = (annotations.starts, annotations.ends, annotations.labels)
        names = [
            TargetName(self.labels[label], (start, end))
            for start, end, label in zip(*(column.tolist() for column in columns), strict=True)
        ]
        return [self.find_target(name, doc, scores, annotations) for name in names]

    def find_target(self, name: TargetName, doc: Doc, scores: SpanScores, annotations: Spans) -> Target:
        """Any label of any suggested span: its logit, which is its log-odds."""
        column = check_label(name, self.labels, self.name)
        start, end = check_place(name, doc, self.name, example=TargetName(name.label, (0, 1)))
        row = int(scores.spans.rows_of(np.array([[0, start, end]]))[0])
        if row < 0:
            raise CannotExplain(
                f"head {self.name!r}: the target {str(name)!r} is none of the {len(scores.spans.starts)} spans that "
                "are suggested in this doc, so it has no score"
            )

        def measure(scores: SpanScores) -> tuple[float, SpanScores]:
            gradient = scores.logits * 0
            gradient[row, column] = 1.0
            return float(scores.logits[row, column]), replace(scores, logits=gradient)

        return Target(name, "log-odds", tuple(range(start, end)), measure)

    def verdicts(self, examples: Sequence[Example]) -> SpanVerdicts:
        """Compare the predicted spans with the gold ones.

        The scores are precision, recall and F1 of exact spans with their labels (`p`, `r`, `f`), and the same by label.
        The decisions are the gold spans and the predicted ones; two at the same place are one row.
        """
        return judge_span_groups(examples, self.spans_key)

    def main_score_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """F1 of exact spans."""
        return main_score_of_spans(counts)

    @property
    def learns_from(self) -> frozenset[str]:
        """Its key of `doc.spans`."""
        return frozenset(self.writes)

    def confidence(self, docs: Sequence[Doc], scores: SpanScores) -> NDArray[np.float64]:
        """Get the probability of the least certain decision about a label: p if it is predicted, else 1 - p; 1 for a
        doc without suggested spans.
        """
        probabilities, is_kept = self._decided(scores)
        least = np.where(is_kept, probabilities, 1.0 - probabilities).min(axis=1, initial=1.0)
        confidences = np.ones(len(docs))
        np.minimum.at(confidences, scores.spans.docs, least)
        return confidences

    def evidence(self, examples: Sequence[Example], scores: SpanScores) -> list[OddsEvidence]:
        """The labels of suggested spans in annotated docs. Probabilities are written for those that are predicted."""
        target, weights = self._target(examples, scores.spans)
        _, is_kept = self._decided(scores)
        rows = np.flatnonzero(weights)
        logits: FloatsT = to_numpy(scores.logits)[rows]
        owners = np.repeat(scores.spans.docs[rows], logits.shape[1])
        gold = target[rows].reshape(-1) > 0
        return [OddsEvidence("spans", owners, logits.reshape(-1), gold, is_kept[rows].reshape(-1), self.threshold)]

    def same_annotation(self, one: Doc, other: Doc) -> bool:
        """Check whether both docs have the same spans."""
        mine, theirs = ({(s.start, s.end, s.label_) for s in self._group(doc)} for doc in (one, other))
        return mine == theirs

    def copy_annotation(self, source: Doc, target: Doc) -> None:
        """Copy the group of spans, without the probabilities."""
        spans = [Span(target, span.start, span.end, label=span.label_) for span in self._group(source)]
        target.spans[self.spans_key] = SpanGroup(target, name=self.spans_key, spans=spans)

    def _group(self, doc: Doc) -> Iterable[Span]:
        return doc.spans.get(self.spans_key, ())

    def _gold(self, examples: Sequence[Example]) -> tuple[IntsT, IntsT]:
        """Doc, start and end of the gold spans whose boundaries the predicted docs have, (n_spans, 3), and the indices
        of their labels, -1 for a span without one.
        """
        columns = {label: column for column, label in enumerate(self.labels)}
        rows = []
        for index, eg in enumerate(examples):
            group = list(self._group(eg.reference))
            aligned = eg.get_aligned_spans_y2x(group, allow_overlap=True) if group else ()
            rows += [(index, span.start, span.end, columns.get(span.label_, -1)) for span in aligned]
        table = np.array(rows, dtype="int64").reshape(-1, 4)
        return table[:, :3], table[:, 3]

    def _suggest(self, docs: Sequence[Doc]) -> IntsT:
        """Doc, start and end of what the suggester finds, (n_spans, 3)."""
        try:
            suggested = self.suggester(docs, ops=NumpyOps())
        except KeyError as error:
            raise ValueError(
                f"head {self.name!r}: its suggester needs {error} in all docs; run the pipe that sets it before, in "
                "training too, with [training.annotating_components]"
            ) from error
        places = to_numpy(suggested.dataXd).reshape(-1, 2)
        owners = np.repeat(np.arange(len(docs)), to_numpy(suggested.lengths))
        return np.column_stack([owners, places]).astype("int64")

    def _target(
        self, examples: Sequence[Example], spans: Candidates
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Whether each span has each label, (n_spans, n_labels), and the factor of its loss, (n_spans,)."""
        target = np.zeros((len(spans.docs), len(self.labels)), dtype="f")
        places, labels = self._gold(examples)
        rows = spans.rows_of(places)
        is_known = (rows >= 0) & (labels >= 0)
        target[rows[is_known], labels[is_known]] = 1.0
        weights = np.where(target.any(axis=1), 1.0, self.negative_weight).astype("f")
        weights *= np.array([self.has_gold(eg) for eg in examples])[spans.docs]
        weights[rows[(rows >= 0) & (labels < 0)]] = 0.0
        return target, weights

    def _check_labels(self, doc: Doc) -> None:
        unknown = self.gold_labels(doc).difference(self.labels)
        if unknown:
            label = min(unknown)
            raise ValueError(
                f"head {self.name!r}: label {label!r} in doc {snippet(doc.text)} was not seen at initialisation; add "
                f"it with add_label({label!r}, head={self.name!r}), or initialise with examples or labels that have it"
            )

    def _decided(self, scores: SpanScores) -> tuple[FloatsT, BoolsT]:
        """The probabilities at the head's temperature, and which labels are predicted, (n_spans, n_labels) each."""
        probabilities: FloatsT = sigmoid(to_numpy(scores.logits).astype("d"))
        reached: BoolsT = probabilities >= self.threshold
        is_kept = reached.copy()
        if self.max_positive is not None and self.max_positive < len(self.labels):
            order = (-probabilities).argsort(axis=1, kind="stable")
            np.put_along_axis(is_kept, order[:, self.max_positive :], False, axis=1)
        if not self.allow_overlap:
            _drop_overlaps(is_kept, np.where(is_kept, probabilities, 0.0).max(axis=1, initial=0.0), scores.spans)
        temperature = temperature_of(self.model, "spans")
        if temperature != 1.0:
            fitted_with = threshold_of_fit(self.model, self.threshold)
            probabilities = calibrated_sigmoid(
                scores.logits, reached, temperature, self.threshold, fitted_with=fitted_with
            )
        return probabilities, is_kept


def _drop_overlaps(is_kept: BoolsT, best: FloatsT, spans: Candidates) -> None:
    """Keep the most probable of spans that overlap."""
    chosen = np.flatnonzero(is_kept.any(axis=1))
    taken: dict[int, set[int]] = {}
    for row in chosen[np.argsort(-best[chosen], kind="stable")].tolist():
        tokens = range(int(spans.starts[row]), int(spans.ends[row]))
        occupied = taken.setdefault(int(spans.docs[row]), set())
        if occupied.isdisjoint(tokens):
            occupied.update(tokens)
        else:
            is_kept[row] = False
