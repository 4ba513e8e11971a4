"""What the component knows of a head."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model
from thinc.types import Floats2d, Ints1d, Ragged

from .arrays import AnnotationsT, ArrayT, ConditionT, GraphT, ScoresT


@dataclass
class HeadInput:
    """What a head's network sees. Its gradient has the same form, with an empty `docs`.

    docs (list[Doc]): The batch.
    tokvecs (Ragged): Token vectors of all docs end to end, data (n_tokens, width), lengths (n_docs,).
    conditions (list[Floats2d]): For each head in `condition_on`, (n_tokens, n_labels of that head).
    """

    docs: list[Doc]
    tokvecs: Ragged
    conditions: list[ConditionT]


HeadModelT = Model[HeadInput, ScoresT]


@dataclass
class GraphInput:
    """The `HeadInput` of a head's network in an ONNX graph: names of arrays.

    tokvecs (str): Token vectors of all docs end to end, (n_tokens, width).
    docs (GraphDocs): Which tokens belong to which doc.
    conditions (list[str]): For each head in `condition_on`, (n_tokens, n_labels of that head).
    """

    tokvecs: str
    docs: Any
    conditions: list[str]


@runtime_checkable
class Head(Protocol):
    """One task: a network on the shared token vectors, and what turns its scores into loss and annotation.

    name (str): Its key under `[components.multitask.heads]`; the component sets it.
    model (Model[HeadInput, ScoresT]): The network. Labels live in `model.attrs["labels"]`, which `to_disk` saves.
    condition_on (tuple[str, ...]): Names of the heads whose scores this one sees.
    main_score (str | None): The key of `score()` that stands for the head in `multitask_score`; None keeps the head out
        of `multitask_score` and `multitask_exact`, if it is there for the sake of others.
    standard_scores (Mapping[str, str]): spaCy's score keys, each with the key of `score()` it equals.
    """

    name: str
    model: HeadModelT
    condition_on: tuple[str, ...]
    main_score: str | None
    standard_scores: Mapping[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the network's outputs."""

    @property
    def attribute(self) -> str:
        """The annotation it shares with its like, such as "cats" or "ents"; spaCy's score keys need a sole owner."""

    @property
    def writes(self) -> dict[str, str]:
        """What it writes: a name no two heads may share ("doc.ents") -> the label to name in the error, or "".

        A head that writes nothing is not run in `predict`; it is run on the docs that are evaluated, and
        `set_annotations` may leave in their `user_data` what its `score` needs.
        """

    @property
    def overlap_fix(self) -> str:
        """What the user can do when another head writes the same, as the end of an error message."""

    def add_label(self, label: str) -> int:
        """Add a label, growing the network if it has its shape already. RETURNS (int): 1 if it was new, else 0."""

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Read the labels from gold examples. Examples without the head's annotation are passed over."""

    def condition(self, scores: ScoresT, lengths: Ints1d) -> tuple[ConditionT, Callable[[ConditionT], ScoresT]]:
        """What heads conditioned on this one see: a distribution per token, and its backprop to the scores."""

    def get_loss(self, examples: Sequence[Example], scores: ScoresT) -> tuple[float, ScoresT | None]:
        """Loss in nats and its gradient: the sum over annotated units divided by all units of the batch (docs or
        tokens). RETURNS: (0.0, None) if nothing in the batch carries the head's annotation.
        """

    def get_rehearsal_loss(self, teacher: ScoresT, scores: ScoresT) -> tuple[float, ScoresT]:
        """Cross-entropy in nats against the distribution that the teacher's scores stand for, and its gradient."""

    def decode(self, docs: Sequence[Doc], scores: ScoresT) -> AnnotationsT:
        """The best annotation under the scores."""

    def set_annotations(self, docs: Sequence[Doc], annotations: AnnotationsT) -> None:
        """Write the decoded annotation to the docs."""

    def score(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Metrics by name, from docs that carry the head's gold annotation; None where there is no such doc."""

    def is_correct(self, example: Example) -> bool | None:
        """Whether the whole gold annotation of the doc is predicted; None if the doc carries none."""


@runtime_checkable
class OnnxHead(Protocol):
    """A head that can write its network into an ONNX graph. A head need not; it is then left out of the graph."""

    def write_scores(self, graph: GraphT, X: GraphInput) -> str:
        """Write the network, and its scores as an output of the head's name. RETURNS (str): The scores' array."""

    def write_condition(self, graph: GraphT, scores: str, X: GraphInput) -> str:
        """What `condition` gives, (n_tokens, n_labels)."""


@runtime_checkable
class SelfLabelling(Protocol):
    """A head whose predictions can become gold, because it says how sure it is of them. A head need not; it then gets
    no labels from co-training.
    """

    @property
    def learns_from(self) -> frozenset[str]:
        """What `copy_annotation` writes, such as "doc.ents". Of two heads that share it, one would learn the other's
        labels.
        """

    def confidence(self, docs: Sequence[Doc], scores: ScoresT) -> ArrayT:
        """The probability of each doc's decoded annotation, (n_docs,), in numpy: of the whole where the head decides
        jointly, of the least certain decision where it takes several independent ones.
        """

    def same_annotation(self, one: Doc, other: Doc) -> bool:
        """Whether the head predicted the same for two docs of the same tokens, which need not share their vocab."""

    def copy_annotation(self, source: Doc, target: Doc) -> None:
        """Write what the head predicted for `source` to `target` as gold, and nothing else.

        target (Doc): Has the same tokens and vocab, and no annotation of this head.
        """


@runtime_checkable
class GoldChecking(Protocol):
    """A head that refuses settings or gold that it can't learn from before the training starts."""

    def check_gold(self, examples: Sequence[Example]) -> None:
        """Raise a ValueError for the first mistake. It is called at initialisation, when the labels are known."""


@runtime_checkable
class Thresholded(Protocol):
    """A head that predicts what reaches a threshold. `nlp.evaluate(examples, scorer_cfg={"threshold": 0.3})` scores it
    by another one.

    threshold (float): The least probability of what counts as predicted.
    """

    threshold: float

    def with_threshold(self, threshold: float) -> "Head":
        """The same head with another threshold. This one keeps its own."""


@runtime_checkable
class DocClasses(Protocol):
    """A head that gives docs classes. Its scores are logits, (n_docs, n_labels).

    exclusive (bool): Whether a doc has one class.
    """

    exclusive: bool

    def gold_classes(self, examples: Iterable[Example]) -> Sequence[str | None]:
        """The gold class of each doc, None where there is not just one."""


@runtime_checkable
class Consistent(Protocol):
    """A head that can be decoded together with the doc's class. Optional.

    consistent_with (str | None): Name of the `DocClasses` head, whose classes are exclusive, with which it is decoded.
    """

    consistent_with: str | None

    def observe(self, examples: Iterable[Example], classes: Iterable[str | None]) -> None:
        """Learn from gold what comes with which class; the same docs may come many times. classes: None for a doc whose
        class is not known.
        """

    def gold_costs(
        self, examples: Iterable[Example], gold: Iterable[str | None], classes: Sequence[str]
    ) -> list[float]:
        """The costs of the gold annotation in docs of their class, in nats, at least 0, as far as was observed. Docs
        without a class or without annotation are left out.

        gold (Iterable[str | None]): The class of each example. classes (Sequence[str]): The names of all classes.
        """

    def novelty(self) -> float:
        """The share of what was observed that would cost something, had it not been observed itself."""

    def reconcile(self, scores: ScoresT, classes: Sequence[str], logits: Floats2d) -> tuple[ScoresT, Floats2d]:
        """Decide for the annotation and the class that are together the best after their cost.

        classes (Sequence[str]): The names of the columns of `logits` (n_docs, n_classes).
        RETURNS: scores whose `decode` gives that annotation, and logits whose greatest is that class.
        """
