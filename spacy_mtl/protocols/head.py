"""What the component knows of a head: a small core, and optional Protocols that it checks for with `isinstance`."""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model
from thinc.types import Floats2d, Ints1d, Ragged

from .arrays import AnnotationsT, ArrayT, ConditionT, PreparedT, ScoresT
from .decisions import Decisions


@dataclass
class HeadInput:
    """Input of a head's network. Its gradient has the same form, with an empty `docs` and nothing in `prepared`.

    docs (list[Doc]): The batch.
    tokvecs (Ragged): Token vectors of all docs end to end, data (n_tokens, width), lengths (n_docs,).
    conditions (list[Floats2d]): For each head in `condition_on`, (n_tokens, n_labels of that head).
    prepared (PreparedT): What the head's own `prepare` returned; None for heads without it.
    """

    docs: list[Doc]
    tokvecs: Ragged
    conditions: list[ConditionT]
    prepared: PreparedT = None


HeadModelT = Model[HeadInput, ScoresT]


@runtime_checkable
class Head(Protocol):
    """One task: a network on the shared token vectors, and the methods that turn its scores into a loss and annotation.

    name (str): The head's key under `[components.multitask.heads]`; the component sets it.
    model (Model[HeadInput, ScoresT]): The network. Whatever must survive saving, such as labels, is kept in
        `model.attrs`.
    main_score (str | None): The key of `score()` that stands for the head in `multitask_score`, a value from 0 to 1.
        None keeps the head out of `multitask_score` and `multitask_exact`: it serves other heads.
    standard_scores (Mapping[str, str]): spaCy's score keys, each with the key of `score()` that it equals. The
        component reports them if no other head offers them.
    gold_attributes (tuple[str, ...]): Where the head finds its gold, as spaCy names it: ("doc.cats",). Used in
        messages.
    """

    name: str
    model: HeadModelT

    @property
    def main_score(self) -> str | None:
        """The key of `score()` that stands for the head."""

    @property
    def standard_scores(self) -> Mapping[str, str]:
        """spaCy's score keys, each with the key of `score()` that it equals."""

    @property
    def gold_attributes(self) -> tuple[str, ...]:
        """Where the head finds its gold."""

    @property
    def writes(self) -> dict[str, str]:
        """What the head writes: a name that no two heads may share ("doc.ents") -> the label to name in the error,
        or "". `predict` does not run a head that writes nothing. Such a head is run on docs that are evaluated, and
        its `set_annotations` may leave what its `score` needs in their `user_data`.
        """

    @property
    def overlap_fix(self) -> str:
        """What the user can do when another head writes the same: the end of an error message."""

    def has_gold(self, example: Example) -> bool:
        """Check whether the head can learn from the example, or be scored on it."""

    def get_loss(self, examples: Sequence[Example], scores: ScoresT) -> tuple[float, ScoresT | None]:
        """Compute the loss in nats and its gradient: the sum over annotated units, divided by all units of the batch
        (docs or tokens). RETURNS: (0.0, None) if nothing in the batch carries the head's annotation.
        """

    def decode(self, docs: Sequence[Doc], scores: ScoresT) -> AnnotationsT:
        """Find the best annotation given the scores."""

    def set_annotations(self, docs: Sequence[Doc], annotations: AnnotationsT) -> None:
        """Write the decoded annotation to the docs."""

    def score(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Compute metrics by name, from the docs that have gold for the head; None if there is no such doc."""

    def is_correct(self, example: Example) -> bool | None:
        """Check whether the whole gold annotation of a doc is predicted; None if the doc has none."""


@runtime_checkable
class CountsDocs(Protocol):
    """A head that counts what is right and wrong in each doc, so that the main score of any group of docs follows from
    a sum. Statistical tests use it to resample docs. The main score must be a function of such sums: accuracy and F1
    are, an area under a curve is not.
    """

    def judge(self, examples: Sequence[Example]) -> NDArray[np.float64]:
        """Count what is right and wrong in each doc, (n_docs, n_counts). The counts add up over docs; the row of a doc
        without gold is zero. The columns depend on the head alone, not on the examples.
        """

    def main_score_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the main score of groups of docs.

        counts (NDArray[np.float64]): (..., n_counts): the rows of `judge`, summed over the docs of each group.
        RETURNS (NDArray[np.float64]): (...): NaN where no doc of the group has gold.
        """


class Verdicts(Protocol):
    """What a head predicted for docs, compared with their gold.

    correct (NDArray[np.float64]): (n_docs,): what `is_correct` says of each doc: 1.0, 0.0, or NaN for None.
    """

    @property
    def correct(self) -> NDArray[np.float64]:
        """Whether the whole gold annotation of each doc is predicted."""

    def scores(self, rows: NDArray[np.int64] | None = None) -> dict[str, Any]:
        """Compute what `Head.score` returns for some of the docs.

        rows (NDArray[np.int64] | None): Their indices; None for all.
        """


@runtime_checkable
class CountedVerdicts(Protocol):
    """Verdicts of a head that counts docs (`CountsDocs`), from which the counts need not be made again.

    counts (NDArray[np.float64]): What `CountsDocs.judge` returns for the same docs.
    """

    counts: NDArray[np.float64]


@runtime_checkable
class DecidedVerdicts(Protocol):
    """Verdicts of a head that shows its decisions (`ShowsDecisions`), from which they need not be made again."""

    def decisions(self) -> Decisions:
        """What `ShowsDecisions.decisions` returns for the same docs."""


@runtime_checkable
class GivesVerdicts(Protocol):
    """A head that looks at each doc once for all scores: of all docs, of each corpus, and whether each doc is right.
    Heads without it are asked for `score` for all docs and each corpus, and for `is_correct` for each doc.
    """

    def verdicts(self, examples: Sequence[Example]) -> Verdicts:
        """Compare predictions with gold. Examples without gold are passed over."""


@runtime_checkable
class HasLabels(Protocol):
    """A head that has labels. Heads without labels, such as a regressor, are initialised from the sample alone."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the network's outputs."""

    def add_label(self, label: str) -> int:
        """Add a label, growing the network if it has its shape already. RETURNS (int): 1 if it was new, else 0."""

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Replace the labels with those of gold examples. Examples without gold are skipped."""

    def gold_labels(self, doc: Doc) -> Iterable[Hashable]:
        """Get the labels that `collect_labels` would find in a gold doc, in any form that tells them apart."""


@runtime_checkable
class CountsGold(Protocol):
    """A head that can count its gold. For heads without this Protocol, tools count the docs that have gold."""

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Add the occurrences of each label in a gold doc to `counts`. RETURNS (int): The number of annotated units: 1
        for a doc, or the number of tokens.
        """


@runtime_checkable
class TeachesAbsence(Protocol):
    """A head that also learns from what its gold leaves out. Heads whose labels exclude each other are none: where one
    label is gold, the others are known not to apply.
    """

    def absent_labels(self, doc: Doc) -> Collection[str] | None:
        """The labels that the doc is a negative example of. None stands for every label that its gold does not have,
        including labels that only other docs show.
        """


@runtime_checkable
class RenamesLabels(Protocol):
    """A head whose gold labels a corpus's `label_map` can rename."""

    def rename_labels(self, source: Doc, target: Doc, mapping: Mapping[str, str | None]) -> None:
        """Write the gold of `source` to `target`, with other labels. A dropped label becomes missing gold in `target`,
        not a negative example. If another head that reads the same annotation calls it again, the result is the same.

        source (Doc): The gold doc.
        target (Doc): A copy of it.
        mapping (Mapping[str, str | None]): Old label -> new one, or None to drop it.
        """


@runtime_checkable
class TakesConditions(Protocol):
    """A head that sees other heads' scores.

    condition_on (tuple[str, ...]): The names of these heads (`GivesCondition`).
    """

    condition_on: tuple[str, ...]


@runtime_checkable
class GivesCondition(Protocol):
    """A head whose scores other heads can see."""

    def condition(self, scores: ScoresT, lengths: Ints1d) -> tuple[ConditionT, Callable[[ConditionT], ScoresT]]:
        """Turn the scores into a distribution at each token, for other heads. RETURNS: the distribution, and its
        backprop to the scores, which is called once for each loss that reaches it.
        """


@runtime_checkable
class Prepares(Protocol):
    """A head that works on other heads' annotation, such as pairs of their entities, or on its own target, such as a
    sequence to decode.

    depends_on (tuple[str, ...]): The heads whose annotation it reads; empty if it only needs its own target.
    """

    depends_on: tuple[str, ...]

    def prepare(
        self, docs: Sequence[Doc], examples: Sequence[Example] | None, found: Mapping[str, AnnotationsT]
    ) -> PreparedT:
        """Build what the network gets as `HeadInput.prepared`. No gradient flows through it.

        docs (Sequence[Doc]): The batch.
        examples (Sequence[Example] | None): In training the batch with the gold that this head may learn from; None in
            prediction.
        found (Mapping[str, AnnotationsT]): The decoded annotation of each head in `depends_on`. A head is decoded when
            its entry is read, so a head that trains on gold alone pays nothing for it.
        """


@runtime_checkable
class ConnectsToHeads(Protocol):
    """A head that asks other heads what their annotation means."""

    def connect(self, heads: Mapping[str, Head]) -> None:
        """Remember the heads in `depends_on`. Raise a ValueError if one of them can't give what is needed. Called when
        the component is made.

        heads (Mapping[str, Head]): All heads by name.
        """


@runtime_checkable
class ScoredFromGold(Protocol):
    """A head that works on other heads' annotation, and is also scored on what it makes of their gold."""

    def prepare_from_gold(self, docs: Sequence[Doc], examples: Sequence[Example]) -> PreparedT:
        """Build what `Prepares.prepare` would, with the gold in the place of the other heads' annotation. Nothing is
        learned from the gold.
        """

    def note_from_gold(self, docs: Sequence[Doc], annotations: AnnotationsT) -> None:
        """Keep the annotation that was decoded from it until the docs are scored, apart from what was predicted."""


@runtime_checkable
class FindsSpans(Protocol):
    """A head whose annotation is spans, for heads that work on them."""

    def found_spans(self, annotations: AnnotationsT) -> "FoundSpans":
        """Get the decoded spans as arrays."""


@dataclass
class FoundSpans:
    """Spans of a batch, in the order of the docs. All arrays (n_spans,).

    docs (Ints1d): Index of the doc.
    starts (Ints1d): Index of the first token in the doc.
    ends (Ints1d): Index of the token after the last one.
    labels (Ints1d): Index of the label in `names`.
    names (tuple[str, ...]): The labels.

    With entities "New York" (LOC) in doc 0 = ["in", "New", "York"] and "Anna" (PER) in doc 1 = ["Anna"]:
    docs [0, 1], starts [1, 0], ends [3, 1], labels [0, 1], names ("LOC", "PER").
    """

    docs: ArrayT
    starts: ArrayT
    ends: ArrayT
    labels: ArrayT
    names: tuple[str, ...]


@runtime_checkable
class RanksTypes(FindsSpans, Protocol):
    """A head that can say how likely other types are for the spans that it has found, and take them back."""

    def type_scores(self, annotations: AnnotationsT) -> NDArray[np.float64]:
        """Compute how much likelier each type is than the one that a span has, in nats, (n_spans, n_labels)."""

    def with_types(self, annotations: AnnotationsT, labels: NDArray[np.int64]) -> AnnotationsT:
        """Give the spans other types. labels: indices, (n_spans,)."""


@runtime_checkable
class RevisesAnnotation(Protocol):
    """A head that decides about the annotation of another head together with its own.

    revises (str | None): The name of the other head, one of `depends_on`; None to leave it as it is.
    """

    revises: str | None

    def revise(self, scores: ScoresT, annotations: AnnotationsT) -> AnnotationsT:
        """Change what the other head has decoded to what this head's own annotation goes with.

        scores (ScoresT): This head's scores.
        annotations (AnnotationsT): What the other head has decoded.
        """


@runtime_checkable
class FindsSentences(Protocol):
    """A head whose annotation may be sentences, for heads that work on them.

    finds_sentences (bool): Whether it is.
    """

    @property
    def finds_sentences(self) -> bool:
        """Whether the annotation is sentences."""

    def found_starts(self, annotations: AnnotationsT) -> ArrayT:
        """Get whether each token of the batch begins a sentence, (n_tokens,)."""


@runtime_checkable
class Adversarial(Protocol):
    """A head whose gradient reaches the encoder reversed. A weighting must not balance it away.

    adversarial (bool): Whether the gradient is reversed now.
    """

    adversarial: bool


@runtime_checkable
class LearnsFromTeacher(Protocol):
    """A head that can learn from another network's scores (`rehearse`)."""

    def get_teacher_loss(self, teacher: ScoresT, scores: ScoresT) -> tuple[float, ScoresT]:
        """Compute the cross-entropy in nats against the teacher's distribution, and its gradient. The teacher has the
        first of this head's labels; labels that were added later enter neither.
        """


@runtime_checkable
class Confident(Protocol):
    """A head that says how sure it is of its annotation."""

    def confidence(self, docs: Sequence[Doc], scores: ScoresT) -> ArrayT:
        """Compute the probability of each doc's decoded annotation, (n_docs,), in numpy: of the whole annotation if the
        head decides jointly, or of the least certain decision if it takes several independent ones.
        """


@runtime_checkable
class SelfLabelling(Confident, Protocol):
    """A head whose predictions can become gold. Heads without it get no labels from co-training."""

    @property
    def learns_from(self) -> frozenset[str]:
        """What `copy_annotation` writes, such as "doc.ents". If two heads shared it, one would learn the other's
        labels.
        """

    def same_annotation(self, one: Doc, other: Doc) -> bool:
        """Check whether the head predicted the same for two docs with the same tokens. Their vocabs may differ."""

    def copy_annotation(self, source: Doc, target: Doc) -> None:
        """Copy what the head predicted for `source` to `target` as gold, and nothing else.

        target (Doc): Has the same tokens and vocab, and no annotation of this head.
        """


@runtime_checkable
class ShowsDecisions(Protocol):
    """A head that can put its decisions beside the gold ones. Reports take scores per label, confusions and errors from
    them; of heads without it they show the scores alone.
    """

    def decisions(self, examples: Sequence[Example]) -> Decisions:
        """List the decisions in docs with the head's gold. What has no gold, such as an unset token, is left out. The
        predicted docs have the tokens of the gold docs.
        """


@runtime_checkable
class GoldChecking(Protocol):
    """A head that refuses settings or gold that it can't learn from before the training starts."""

    def check_gold(self, examples: Sequence[Example]) -> None:
        """Raise a ValueError for the first mistake. Called at initialisation, once the labels are known."""


@runtime_checkable
class FitsGold(Protocol):
    """A head that measures its gold before the training starts, such as the mean of a number."""

    def fit_gold(self, examples: Sequence[Example]) -> None:
        """Measure the gold. Called at initialisation, once the labels are known and the gold is checked."""


@runtime_checkable
class ClaimsCats(Protocol):
    """A head that reads keys of `doc.cats` that are no classes, such as numbers."""

    def claims_cat(self, key: str) -> bool:
        """Check whether the key is this head's own."""


@runtime_checkable
class FindsMistakes(Protocol):
    """A head that can tell which gold docs training would refuse, one by one, for tools that list them all."""

    def find_mistake(self, example: Example) -> str | None:
        """The error message that training would stop with; None if it can learn from the doc's gold."""


@runtime_checkable
class ScoresInUnits(Protocol):
    """A head of which some scores are in the unit of the gold, such as a mean error. Tools show these as they are, and
    all others, which are from 0 to 1, in per cent.
    """

    @property
    def scores_in_units(self) -> Collection[str]:
        """The keys of `score()`."""


@runtime_checkable
class Thresholded(Protocol):
    """A head that predicts whatever reaches a threshold. `nlp.evaluate(examples, scorer_cfg={"threshold": 0.3})` scores
    it with another threshold.

    threshold (float): Minimum probability of a prediction.
    """

    threshold: float

    def with_threshold(self, threshold: float) -> "Head":
        """Copy the head with another threshold. This head keeps its own."""


@runtime_checkable
class DocClasses(Protocol):
    """A head that gives docs classes. Its scores are logits, (n_docs, n_labels).

    exclusive (bool): Whether a doc has one class.
    """

    exclusive: bool

    def gold_classes(self, examples: Iterable[Example]) -> Sequence[str | None]:
        """Get the gold class of each doc; None if it does not have exactly one."""


@runtime_checkable
class DecodesJointly(Protocol):
    """A head whose annotation can be decoded together with the doc's class.

    consistent_with (str | None): Name of a `DocClasses` head with exclusive classes; None to decode alone.
    """

    consistent_with: str | None

    def update_constraints(self, examples: Iterable[Example], classes: Iterable[str | None]) -> None:
        """Learn from gold which annotation occurs with which class. The same docs may be passed many times.

        classes (Iterable[str | None]): The class of each example, None if it is not known.
        """

    def gold_costs(
        self, examples: Iterable[Example], gold: Iterable[str | None], classes: Sequence[str]
    ) -> list[float]:
        """Compute what the gold annotation of each doc costs given its class, in nats, at least 0. Docs without a class
        or without annotation are left out.

        gold (Iterable[str | None]): The class of each example.
        classes (Sequence[str]): The names of all classes.
        """

    def novelty(self) -> float:
        """Compute the share of the gold passed so far that would cost something if it alone had not been passed."""

    def decode_jointly(self, scores: ScoresT, classes: Sequence[str], logits: Floats2d) -> tuple[ScoresT, Floats2d]:
        """Find the combination of annotation and class with the best score after subtracting its cost.

        classes (Sequence[str]): The names of the columns of `logits`.
        logits (Floats2d): Scores of the classes, (n_docs, n_classes).
        RETURNS: scores from which `decode` gives that annotation, and logits of which that class is the highest.
        """


@runtime_checkable
class HasHeads(Protocol):
    """A component that has heads. Readers and tools check for it.

    heads (Mapping[str, Head]): By name.
    """

    heads: Mapping[str, Head]
