"""What the component knows of each head. The optional Protocols, which it checks for with `isinstance`, are in files
beside this one: `head_labels`, `head_gold`, `head_training`, `head_confidence`, `head_explanation`, `head_prediction`,
`doc_verdicts`, `between_heads`, `found_annotation` and `decodes_jointly`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model
from thinc.types import Ragged

from .arrays import AnnotationsT, ConditionT, PreparedT, ScoresT


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
class HasHeads(Protocol):
    """A component that has heads. Readers and tools check for it.

    heads (Mapping[str, Head]): By name.
    """

    heads: Mapping[str, Head]


@runtime_checkable
class KeepsHeads(Protocol):
    """A component whose old heads also learn from the pipeline that the training began from. The loss is in the losses
    as "component/keep/head".
    """

    @property
    def keep(self) -> Mapping[str, float]:
        """The weights of these losses by head; empty if no head is kept."""
