"""Numbers of docs, such as a rating or valence and arousal, written to an extension attribute."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model, chain
from thinc.types import Floats2d, Ragged
from thinc.util import get_array_module, to_numpy

from ...gold import renamed_cats, snippet
from ...layers.doc_logits import doc_logits
from ...layers.dropout import dropout
from ...layers.old_labels import old_scores, with_new_labels
from ...layers.pooling import PoolingKindT, attention_weights
from ...layers.pooling import pooling as build_pooling
from ...metrics.number_metrics import NumberVerdicts, main_score_of_numbers
from ...protocols.arrays import FloatsT
from ...protocols.head import HeadModelT
from ...protocols.head_explanation import Target, TargetName, check_label
from ...protocols.head_prediction import Numbers
from ..bases.model_labels import ModelLabels
from ..bases.scored_by_verdicts import ScoredByVerdicts
from .number_losses import NumberLossT, number_loss


def make_regressor_v1(
    numbers: list[str] | None = None,
    label_prefix: str = "",
    attribute: str = "numbers",
    loss: NumberLossT = "huber",
    delta: float = 1.0,
    pooling: list[PoolingKindT] = ["mean", "max"],  # noqa: B006  (a config needs a plain default; it is only read)
) -> "Regressor":
    """Build a regressor, which predicts one or several numbers of each doc and writes them to `doc._.numbers`, a dict.

    Gold is in `doc._.numbers` too, or in `doc.cats`, which a `.spacy` file stores without user data. An absent number
    is missing gold. The network learns numbers in standard deviations from the mean, both of the gold at
    initialisation; they are saved with the head. The loss is that in standard deviations, summed over the numbers, per
    doc: half the squared error is a Gaussian's negative log-likelihood in nats, without its constant.

    Main score: `pearson`, the correlation of predicted and gold numbers, on average over the numbers, where one below 0
    counts as 0. It lies between 0 and 1 whatever the unit, a constant prediction gets 0, and papers report it. Since it
    ignores an offset, look at `mae` and `rmse` too, which are in the unit of the gold. `spearman` is the correlation of
    ranks, and `by_number` has all four for each number.

    numbers (list[str] | None): Names of the numbers. Null takes those that gold has in `doc._.numbers`, and the keys of
        `doc.cats` that start with `label_prefix`, if that is set.
    label_prefix (str): Prefix of the `doc.cats` keys with gold numbers. Names are the keys without it. A
        `DocClassifier` beside this head leaves its keys alone.
    attribute (str): Name of the extension attribute: `"rating"` stands for `doc._.rating`.
    loss (str): `"huber"`, which grows linearly for errors beyond `delta` and so cares less about outliers, or
        `"squared"`.
    delta (float): Error in standard deviations from which Huber's loss grows linearly, above 0.
    pooling (list[str]): How to combine token vectors into a doc vector: `"mean"`, `"max"`, `"attention"`, or several of
        them, concatenated.
    """
    if not delta > 0.0:
        raise ValueError(f"Regressor: delta is {delta}; it must be above 0")
    if not pooling:
        raise ValueError("Regressor: pooling is empty; name at least one of 'mean', 'max', 'attention'")
    if numbers is not None and (not numbers or len(set(numbers)) < len(numbers)):
        raise ValueError(f"Regressor: numbers is {numbers}; name each number once, or leave numbers out")
    if not attribute.isidentifier():
        raise ValueError(f"Regressor: attribute is {attribute!r}; expected a name such as 'rating', for doc._.rating")
    if not Doc.has_extension(attribute):
        Doc.set_extension(attribute, default=None)
    model = build_model(pooling, numbers or [])
    return Regressor(model, numbers=numbers, label_prefix=label_prefix, attribute=attribute, loss=loss, delta=delta)


def build_model(kinds: Sequence[PoolingKindT], numbers: Sequence[str]) -> HeadModelT:
    """Token vectors -> pooled -> numbers in standard deviations from their means, (n_docs, n_numbers)."""
    pool: Model[Ragged, Floats2d] = chain(build_pooling(kinds), dropout())
    return doc_logits("regressor", pool, {"labels": list(numbers), "means": {}, "deviations": {}})


class Regressor(ScoredByVerdicts, ModelLabels):
    """Head that predicts numbers of each doc. The loss is computed per doc.

    A number that a doc does not have is not annotated. A number that `add_label` adds has the mean 0 and the standard
    deviation 1 until the head is initialised again.

    labels (tuple[str, ...]): Names of the numbers.
    """

    main_score = "pearson"
    scores_in_units = ("mae", "rmse")
    standard_scores: Mapping[str, str] = {}
    overlap_fix = "give one of them another attribute"

    def __init__(
        self,
        model: HeadModelT,
        *,
        numbers: Sequence[str] | None,
        label_prefix: str,
        attribute: str,
        loss: NumberLossT,
        delta: float,
    ) -> None:
        self.name = "regressor"
        self.model = model
        self.numbers = numbers
        self.label_prefix = label_prefix
        self.attribute = attribute
        self.loss = loss
        self.delta = delta

    @property
    def gold_attributes(self) -> tuple[str, ...]:
        """The extension attribute, and `doc.cats` if it reads them."""
        if self.numbers is None and not self.label_prefix:
            return (f"doc._.{self.attribute}",)
        return f"doc._.{self.attribute}", "doc.cats"

    @property
    def writes(self) -> dict[str, str]:
        """One name for each number."""
        return {f"doc._.{self.attribute}[{name!r}]": name for name in self.labels}

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Collect the names of the gold numbers, in alphabetical order, unless they are given."""
        if self.numbers is None:
            found = {label for eg in examples for label in self.gold_labels(eg.reference)}
            self.model.attrs["labels"] = sorted(found)

    def gold_labels(self, doc: Doc) -> set[str]:
        """Get the names of the numbers of a gold doc."""
        return set(self._values(doc))

    def claims_cat(self, key: str) -> bool:
        """Check whether a key of `doc.cats` is one of the gold numbers."""
        if not key.startswith(self.label_prefix):
            return False
        return key[len(self.label_prefix) :] in self.labels if self.numbers is not None else bool(self.label_prefix)

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Count the numbers. A doc is one unit."""
        counts.update(self.gold_labels(doc))
        return 1

    def rename_labels(self, source: Doc, target: Doc, mapping: Mapping[str, str | None]) -> None:
        """Rename the keys of `cats` and of the extension attribute. A dropped number is absent in the target."""
        target.cats = renamed_cats(source.cats, mapping)
        stored = source._.get(self.attribute)
        if stored is not None:
            renamed = {mapping.get(key, key): value for key, value in stored.items()}
            target._.set(self.attribute, {key: value for key, value in renamed.items() if key is not None})

    def has_gold(self, example: Example) -> bool:
        """Check whether the doc has any of the numbers."""
        return not self.gold_labels(example.reference).isdisjoint(self.labels)

    def check_gold(self, examples: Sequence[Example]) -> None:
        """Raise a ValueError for gold that is no finite number."""
        for eg in examples:
            self._check(eg.reference)

    def find_mistake(self, example: Example) -> str | None:
        """Say which value of the doc is no finite number."""
        try:
            self._check(example.reference)
        except ValueError as error:
            return str(error)
        return None

    def fit_gold(self, examples: Sequence[Example]) -> None:
        """Take the mean and the standard deviation of each gold number. Where all values are equal, or there is none,
        the standard deviation is 1.
        """
        gold = self._gold(examples)
        for column, name in enumerate(self.labels):
            values = gold[~np.isnan(gold[:, column]), column]
            deviation = float(values.std()) if len(values) else 0.0
            self.model.attrs["means"][name] = float(values.mean()) if len(values) else 0.0
            self.model.attrs["deviations"][name] = deviation if deviation > 0.0 else 1.0

    def get_loss(self, examples: Sequence[Example], scores: Floats2d) -> tuple[float, Floats2d | None]:
        """Half the squared error in standard deviations, or Huber's loss, summed over the numbers."""
        gold = self._gold(examples)
        if np.isnan(gold).all():
            return 0.0, None
        means, deviations = self._scale()
        target = get_array_module(scores).asarray((gold - means) / deviations, dtype="f")
        losses, d_scores = number_loss(target, scores, self.loss, self.delta)
        return float(losses.sum()) / len(examples), d_scores / len(examples)

    def get_teacher_loss(self, teacher: Floats2d, scores: Floats2d) -> tuple[float, Floats2d]:
        """Half the squared distance from the teacher's predictions, over the numbers that the teacher has."""
        losses, d_old = number_loss(teacher, old_scores(scores, teacher), "squared", self.delta)
        return float(losses.sum()) / len(scores), with_new_labels(d_old / len(scores), scores)

    def decode(self, docs: Sequence[Doc], scores: Floats2d) -> NDArray[np.float64]:
        """The numbers in the unit of the gold, (n_docs, n_numbers)."""
        means, deviations = self._scale()
        numbers: FloatsT = to_numpy(scores).astype("d") * deviations + means
        return numbers

    def set_annotations(self, docs: Sequence[Doc], annotations: NDArray[np.float64]) -> None:
        """Write the numbers to the extension attribute. Other names in it stay."""
        for doc, row in zip(docs, annotations.tolist(), strict=True):
            stored = doc._.get(self.attribute) or {}
            doc._.set(self.attribute, stored | dict(zip(self.labels, row, strict=True)))

    def prediction(self, doc: Doc) -> Numbers:
        """Its numbers."""
        stored = doc._.get(self.attribute) or {}
        return Numbers({name: stored[name] for name in self.labels if name in stored})

    def targets(self, doc: Doc, scores: Floats2d, annotations: NDArray[np.float64]) -> list[Target]:
        """All numbers."""
        return [self._target(column) for column in range(len(self.labels))]

    def find_target(self, name: TargetName, doc: Doc, scores: Floats2d, annotations: NDArray[np.float64]) -> Target:
        """Any number."""
        return self._target(check_label(TargetName(str(name)), self.labels, self.name))

    def _target(self, column: int) -> Target:
        """A number in the unit of the gold."""
        means, deviations = self._scale()

        def measure(scores: Floats2d) -> tuple[float, Floats2d]:
            gradient = scores * 0
            gradient[0, column] = deviations[column]
            return float(scores[0, column]) * deviations[column] + means[column], gradient

        return Target(TargetName(self.labels[column]), "number", (), measure)

    def attention(self, target: TargetName, tokvecs: Ragged, scores: Floats2d) -> FloatsT | None:
        """The attention of the pooling."""
        return attention_weights(self.model, tokvecs)

    def verdicts(self, examples: Sequence[Example]) -> NumberVerdicts:
        """Compare the predicted numbers with the gold ones.

        The scores are `pearson`, `spearman`, `mae` and `rmse`, on average over the numbers, and `by_number`. A number
        is neither right nor wrong, so the head does not enter `multitask_exact`.
        """
        gold = self._gold(examples)
        predicted = np.array([self._row(eg.predicted._.get(self.attribute) or {}) for eg in examples])
        means, deviations = self._scale()
        return NumberVerdicts(gold, predicted.reshape(gold.shape), self.labels, means=means, deviations=deviations)

    def main_score_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pearson's correlation, on average over the numbers; below 0 counts as 0."""
        return main_score_of_numbers(counts)

    def _values(self, doc: Doc) -> dict[str, Any]:
        """The numbers of a gold doc by name, of `cats` and of the extension attribute, which comes first."""
        size = len(self.label_prefix)
        found = {key[size:]: value for key, value in doc.cats.items() if self.claims_cat(key)}
        stored = doc._.get(self.attribute)
        if stored is None:
            return found
        if not isinstance(stored, Mapping):
            raise ValueError(
                f"head {self.name!r}: doc._.{self.attribute} of doc {snippet(doc.text)} is {stored!r}; expected a dict "
                "of numbers by name"
            )
        return found | {key: value for key, value in stored.items() if self.numbers is None or key in self.labels}

    def _check(self, doc: Doc) -> None:
        for name, value in self._values(doc).items():
            if not isinstance(value, Real) or not math.isfinite(value):
                raise ValueError(
                    f"head {self.name!r}: {name!r} has the value {value!r} in doc {snippet(doc.text)}; expected a "
                    "finite number; leave it out if it is not known"
                )

    def _gold(self, examples: Sequence[Example]) -> NDArray[np.float64]:
        """The gold numbers, (n_docs, n_numbers), NaN where they are missing."""
        gold = np.full((len(examples), len(self.labels)), np.nan)
        for row, eg in zip(gold, examples, strict=True):
            self._check(eg.reference)
            row[:] = self._row(self._values(eg.reference))
        return gold

    def _row(self, values: Mapping[str, float]) -> list[float]:
        return [values.get(name, np.nan) for name in self.labels]

    def _scale(self) -> tuple[FloatsT, FloatsT]:
        """Mean and standard deviation of each number, (n_numbers,)."""
        means, deviations = self.model.attrs["means"], self.model.attrs["deviations"]
        names = self.labels
        return np.array([means.get(name, 0.0) for name in names]), np.array([deviations.get(n, 1.0) for n in names])
