"""Document classification: exclusive classes (softmax) or independent ones (sigmoid), written to `doc.cats`."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model, chain
from thinc.types import Floats2d, Ints1d, Ragged
from thinc.util import get_array_module, to_numpy

from ..config_mappings import read_mapping
from ..gold import renamed_cats, snippet
from ..layers.doc_logits import doc_logits
from ..layers.dropout import dropout
from ..layers.linear import grow_output
from ..layers.old_labels import old_scores, with_new_labels
from ..layers.pooling import PoolingKindT
from ..layers.pooling import pooling as build_pooling
from ..layers.softmax import backprop_softmax, log_softmax, repeat_rows, sigmoid, softmax, softplus
from ..metrics.class_metrics import SCORE_NAMES, SCORE_TABLES, ClassVerdicts, main_score_of_classes
from ..metrics.prf_counts import as_flag
from ..protocols.arrays import ArrayT
from ..protocols.decisions import Decisions
from ..protocols.head import HeadModelT

# of so few numbers the loss takes less time in main memory than the calls for a GPU
FEW_SCORES = 2**16
# what values of soft gold may be off by, from rounding
TOLERANCE = 1e-3
CERTAIN = frozenset((0.0, 1.0))


def make_doc_classifier_v1(
    exclusive: bool = True,
    threshold: float = 0.5,
    pooling: list[PoolingKindT] = ["mean", "max"],  # noqa: B006  (a config needs a plain default; it is only read)
    label_prefix: str = "",
    class_weights: dict[str, Any] | list[Any] | None = None,
    label_smoothing: float = 0.0,
) -> "DocClassifier":
    """Build a document classifier, which writes the probability of each class to `doc.cats`.

    A doc is missing gold if none of its `cats` keys is a label of the head. If the classes are not exclusive, a single
    absent key is missing too, while the other keys still train. The loss is the cross-entropy, in nats per doc. Main
    score: `acc` if the classes are exclusive, else `macro_f`; the other scores are those of spaCy's `textcat`.

    exclusive (bool): Predict exactly one class per doc (softmax). False predicts any number of classes (sigmoid).
    threshold (float): Probability from which a class counts as predicted in scores. Only used if the classes are not
        exclusive. `doc.cats` always holds the probabilities themselves.
    pooling (list[str]): How to combine token vectors into a doc vector: `"mean"`, `"max"`, `"attention"`, or several of
        them, concatenated.
    label_prefix (str): Prefix of the `doc.cats` keys that belong to this head. The head reads and writes only these
        keys; its labels are the keys without the prefix. Two heads may share label names if their prefixes differ.
    class_weights (dict[str, float] | list[list] | None): Factors of the classes' losses, by label, at least 0. Classes
        that are not named have 1.0. Labels with `=` need a list of pairs: `[["genre=email", 2.0]]`.
    label_smoothing (float): Share of the target probability that is spread evenly over the other classes, from 0 to
        below 1 (Szegedy et al. 2016). Only allowed if the classes are exclusive.
    """
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"DocClassifier: label_smoothing is {label_smoothing}, expected at least 0 and less than 1")
    if label_smoothing and not exclusive:
        raise ValueError(
            f"DocClassifier: label_smoothing is {label_smoothing}, but the classes are not exclusive; set it to 0.0"
        )
    if not pooling:
        raise ValueError("DocClassifier: pooling is empty; name at least one of 'mean', 'max', 'attention'")
    check_threshold(threshold, "DocClassifier")
    weights = read_mapping(class_weights or {}, "DocClassifier: class_weights")
    for label, weight in weights.items():
        if not isinstance(weight, int | float) or not 0.0 <= weight < math.inf:
            raise ValueError(f"DocClassifier: class_weights has {label!r} = {weight}; a weight must be at least 0")
    return DocClassifier(
        build_model(pooling),
        exclusive=exclusive,
        threshold=threshold,
        label_prefix=label_prefix,
        class_weights=weights,
        label_smoothing=label_smoothing,
    )


def build_model(kinds: Sequence[PoolingKindT]) -> HeadModelT:
    """Token vectors -> pooled -> logits (n_docs, n_labels)."""
    pool: Model[Ragged, Floats2d] = chain(build_pooling(kinds), dropout())
    return doc_logits("doc_classifier", pool, {"labels": [], "owns_all_keys": True})


def check_threshold(threshold: float, owner: str) -> None:
    """Raise a ValueError if the threshold is no probability."""
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"{owner}: threshold is {threshold}; it must be a probability, from 0 to 1")


class DocClassifier:
    """The head. Unit of its loss: the doc. A doc none of whose `cats` keys is a label is not annotated; with classes
    that are not exclusive, nor is a single absent key.

    Gold values are probabilities from 0 to 1; those of exclusive classes sum to at most 1. Keys of other heads count
    for nothing. An exclusive doc that has only some of the labels as keys, all 0, is of one of the other classes: they
    share the likelihood, and each of them is a right prediction.
    """

    gold_attributes = ("doc.cats",)
    overlap_fix = "give one of them label_prefix"
    standard_scores: Mapping[str, str] = {f"cats_{key}": key for key in (*SCORE_NAMES, *SCORE_TABLES)}

    def __init__(
        self,
        model: HeadModelT,
        *,
        exclusive: bool,
        threshold: float,
        label_prefix: str,
        class_weights: Mapping[str, float],
        label_smoothing: float,
    ) -> None:
        self.name = "doc_classifier"
        self.model = model
        self.exclusive = exclusive
        self.threshold = threshold
        self.label_prefix = label_prefix
        self.class_weights = class_weights
        self.label_smoothing = label_smoothing
        self.main_score = "acc" if exclusive else "macro_f"

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names without the prefix."""
        return tuple(self.model.attrs["labels"])

    @property
    def keys(self) -> tuple[str, ...]:
        """The labels as `doc.cats` has them."""
        return _with_prefix(self.label_prefix, self.labels)

    @property
    def writes(self) -> dict[str, str]:
        """One name for each key of `doc.cats`."""
        return {f"doc.cats[{key!r}]": label for key, label in zip(self.keys, self.labels, strict=True)}

    def add_label(self, label: str) -> int:
        """Add a class. Its weights are zero if the network has its shape already."""
        if label in self.labels:
            return 0
        self.model.attrs["labels"] = [*self.labels, label]
        self.model.attrs["owns_all_keys"] = False
        grow_output(self.model, len(self.labels))
        return 1

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Take every key of the gold `cats` that has the prefix, in alphabetical order."""
        for eg in examples:
            self._cats(eg)
        self.model.attrs["labels"] = sorted({label for eg in examples for label in self.gold_labels(eg.reference)})
        self.model.attrs["owns_all_keys"] = True

    def gold_labels(self, doc: Doc) -> set[str]:
        """The labels that a gold doc has keys for, whether they apply or not."""
        return {key[len(self.label_prefix) :] for key in doc.cats if key.startswith(self.label_prefix)}

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Count the classes that apply. The unit is the doc."""
        labels = dict(zip(self.keys, self.labels, strict=True))
        counts.update(labels[key] for key, value in doc.cats.items() if value > 0 and key in labels)
        return 1

    def absent_labels(self, doc: Doc) -> set[str]:
        """The classes that are known not to apply, if a doc can have any number of classes."""
        if self.exclusive:
            return set()
        labels = dict(zip(self.keys, self.labels, strict=True))
        return {labels[key] for key, value in doc.cats.items() if value <= 0 and key in labels}

    def rename_labels(self, source: Doc, target: Doc, mapping: Mapping[str, str | None]) -> None:
        """Rename the keys of `cats`, with any prefix. A key that is dropped is absent in the target."""
        target.cats = renamed_cats(source.cats, mapping)

    def has_gold(self, example: Example) -> bool:
        """Whether any label is a key of the gold `cats`."""
        cats = self._cats(example)
        return any(key in cats for key in self.keys)

    def check_gold(self, examples: Sequence[Example]) -> None:
        """Raise a ValueError for what can't be trained with: a single exclusive class, weights of unknown classes, or
        gold that contradicts itself.
        """
        if self.exclusive and len(self.labels) == 1:
            raise ValueError(
                f"head {self.name!r}: its classes are exclusive, but {list(self.labels)} is all there is, so every doc "
                "would get it; add the other classes, or set exclusive = false"
            )
        self._check_class_weights()
        known = frozenset(self.keys)
        for eg in examples:
            self._check(eg, known)

    def find_mistake(self, example: Example) -> str | None:
        """Say what is wrong with the doc's `cats`, such as two positive classes where one is allowed."""
        try:
            self._check(example, frozenset(self.keys))
        except ValueError as error:
            return str(error)
        return None

    def with_threshold(self, threshold: float) -> "DocClassifier":
        """The same head, scored by another threshold."""
        check_threshold(threshold, f"head {self.name!r}")
        changed = copy(self)
        changed.threshold = threshold
        return changed

    def condition(self, scores: Floats2d, lengths: Ints1d) -> tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
        """The doc's class probabilities at each of its tokens, (n_tokens, n_labels)."""
        probabilities = self._probabilities(scores)
        repeated, bp_repeated = repeat_rows(probabilities, lengths)

        def backprop(d_repeated: Floats2d) -> Floats2d:
            gradient = bp_repeated(d_repeated)
            if self.exclusive:
                return backprop_softmax(probabilities, gradient)
            return gradient * probabilities * (1.0 - probabilities)

        return repeated, backprop

    def get_loss(self, examples: Sequence[Example], scores: Floats2d) -> tuple[float, Floats2d | None]:
        """Negative log-likelihood of the gold classes, in nats: cross-entropy, or the sum of the classes' binary ones.

        An exclusive doc whose keys are all zero, while some labels have no key, is known to be one of the latter: they
        share the likelihood.
        """
        gold = self._gold(examples)
        if np.isnan(gold).all():
            return 0.0, None
        near = to_numpy(scores) if scores.size <= FEW_SCORES else scores
        compute = self._exclusive_loss if self.exclusive else self._multilabel_loss
        losses, d_scores = compute(get_array_module(near).asarray(gold), near)
        return float(losses.sum()) / len(examples), get_array_module(scores).asarray(d_scores / len(examples))

    def gold_classes(self, examples: Iterable[Example]) -> list[str | None]:
        """The class of each doc; None where the doc is not annotated, or has a share in several."""
        labels = dict(zip(self.keys, self.labels, strict=True))
        positive = [
            [labels[key] for key, value in self._cats(eg).items() if key in labels and value > 0] for eg in examples
        ]
        return [found[0] if len(found) == 1 else None for found in positive]

    def get_teacher_loss(self, teacher: Floats2d, scores: Floats2d) -> tuple[float, Floats2d]:
        """Cross-entropy against the teacher's probabilities, among the classes that it has."""
        target, old = self._probabilities(teacher), old_scores(scores, teacher)
        loss = _cross_entropy(target, old) if self.exclusive else _binary_cross_entropy(target, old)
        d_old = (self._probabilities(old) - target) / len(scores)
        return float(loss.sum()) / len(scores), with_new_labels(d_old, scores)

    def decode(self, docs: Sequence[Doc], scores: Floats2d) -> Floats2d:
        """Class probabilities, (n_docs, n_labels)."""
        return self._probabilities(scores)

    def set_annotations(self, docs: Sequence[Doc], annotations: Floats2d) -> None:
        """Add the probabilities to `doc.cats`; other keys stay."""
        keys = self.keys
        for doc, row in zip(docs, to_numpy(annotations).tolist(), strict=True):
            doc.cats.update(zip(keys, row, strict=True))

    def verdicts(self, examples: Sequence[Example]) -> ClassVerdicts:
        """Compare the predicted classes with the gold ones. Raises a ValueError for gold values that are no
        probabilities.
        """
        keys, known = self.keys, frozenset(self.keys)
        verdicts = ClassVerdicts(len(examples), keys, exclusive=self.exclusive, threshold=self.threshold)
        for row, eg in enumerate(examples):
            gold, predicted = self._cats(eg), eg.predicted.cats
            if known.isdisjoint(gold):
                continue
            self._check_values(eg, known)
            if not self.exclusive:
                verdicts.set_multilabel(row, gold, predicted)
                continue
            highest = max(self._own(gold, keys).values())
            is_decided = highest > 0 or known <= gold.keys()
            verdicts.set_exclusive(row, gold, predicted, highest=highest, is_decided=is_decided)
        return verdicts

    def judge(self, examples: Sequence[Example]) -> NDArray[np.float64]:
        """Count what is right and wrong in each doc, see `ClassVerdicts`."""
        return self.verdicts(examples).counts

    def main_score_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Accuracy if the classes are exclusive, else macro F1."""
        return main_score_of_classes(counts, exclusive=self.exclusive)

    def score(self, examples: Sequence[Example]) -> dict[str, Any]:
        """spaCy's `score_cats` metrics, and `acc`: the share of annotated docs with the right class (exclusive) or with
        every annotated class on the right side of the threshold. Exclusive docs of which only some classes are known
        not to apply count for `acc` alone.
        """
        return self.verdicts(examples).scores()

    def is_correct(self, example: Example) -> bool | None:
        """Exclusive: whether the likeliest class is the gold one, or, if only some are known not to apply, none of
        those; else whether every annotated class is right.
        """
        return as_flag(self.verdicts([example]).correct[0])

    def decisions(self, examples: Sequence[Example]) -> Decisions:
        """The class of each doc, or one row for each class that applies or is predicted. Exclusive docs of which only
        some classes are known not to apply are left out.
        """
        rows_of = self._exclusive_row if self.exclusive else self._multilabel_rows
        rows = [(index, row) for index, eg in enumerate(examples) for row in rows_of(eg)]
        lengths = [len(eg.predicted) for eg in examples]
        return Decisions.from_rows("docs", ((index, 0, lengths[index], *row) for index, row in rows))

    def _exclusive_row(self, example: Example) -> Iterable[tuple[str | None, str | None]]:
        cats, predicted = self._cats(example), example.predicted.cats
        gold = self._own(cats, self.keys)
        best = max(gold, key=lambda key: gold[key], default="")
        if frozenset(self.keys).isdisjoint(cats) or gold[best] <= 0:
            return
        found = max(self.keys, key=lambda key: predicted.get(key, 0.0))
        yield best[len(self.label_prefix) :], found[len(self.label_prefix) :]

    def _multilabel_rows(self, example: Example) -> Iterable[tuple[str | None, str | None]]:
        gold, predicted = self._cats(example), example.predicted.cats
        for key, label in zip(self.keys, self.labels, strict=True):
            applies, found = gold.get(key, 0.0) > 0, predicted.get(key, 0.0) >= self.threshold
            if key in gold and (applies or found):
                yield label if applies else None, label if found else None

    @property
    def learns_from(self) -> frozenset[str]:
        """Its keys of `doc.cats`."""
        return frozenset(self.writes)

    def confidence(self, docs: Sequence[Doc], scores: Floats2d) -> NDArray[np.float64]:
        """The best class's probability; with classes that are not exclusive, of the least certain class's decision: p
        if it is predicted, else 1 - p.
        """
        probabilities: ArrayT = self._probabilities(to_numpy(scores).astype("d"))
        if self.exclusive:
            return probabilities.max(axis=1)
        decided = probabilities >= self.threshold
        return np.where(decided, probabilities, 1.0 - probabilities).min(axis=1)

    def same_annotation(self, one: Doc, other: Doc) -> bool:
        """Whether both have the same class, or the same classes at the threshold."""
        return self._decisions(one) == self._decisions(other)

    def copy_annotation(self, source: Doc, target: Doc) -> None:
        """Set all of the head's keys of `cats`, to 1.0 or 0.0."""
        target.cats.update(self._decisions(source))

    def _decisions(self, doc: Doc) -> dict[str, float]:
        """1.0 for each class that is predicted, 0.0 for the others."""
        keys = self.keys
        if self.exclusive:
            best = max(keys, key=lambda key: doc.cats.get(key, 0.0))
            return {key: float(key == best) for key in keys}
        return {key: float(doc.cats.get(key, 0.0) >= self.threshold) for key in keys}

    def _probabilities(self, scores: Floats2d) -> Floats2d:
        return softmax(scores) if self.exclusive else sigmoid(scores)

    def _cats(self, example: Example) -> dict[str, float]:
        """The gold `cats`, of all heads."""
        cats: dict[str, float] | None = example.reference.cats
        if cats is None:
            raise ValueError(
                f"head {self.name!r}: the cats of doc {snippet(example.reference.text)} are None; set them to {{}} if "
                "the doc is not annotated"
            )
        return cats

    def _own(self, cats: Mapping[str, float], known: Collection[str]) -> Mapping[str, float]:
        """The values of this head's keys, of labels that it does not know too."""
        if self.label_prefix:
            return {key: value for key, value in cats.items() if key.startswith(self.label_prefix)}
        if self.model.attrs["owns_all_keys"]:
            return cats
        return {key: cats[key] for key in known if key in cats}

    def _gold(self, examples: Sequence[Example]) -> NDArray[np.float32]:
        """The values of `cats`, (n_docs, n_labels), NaN where a key is absent."""
        keys, known = self.keys, frozenset(self.keys)
        gold = np.full((len(examples), len(keys)), np.nan, dtype="f")
        for row, eg in zip(gold, examples, strict=True):
            cats = self._cats(eg)
            if not cats:
                continue
            self._check(eg, known)
            row[:] = [cats.get(key, np.nan) for key in keys]
        return gold

    def _check(self, example: Example, known: frozenset[str]) -> None:
        """Refuse what can't be learned from: values that are no probabilities, an unknown class, two exclusive classes,
        none of all exclusive ones.
        """
        cats = self._cats(example)
        values = cats.values()
        if cats.keys() == known and CERTAIN.issuperset(values) and (not self.exclusive or sum(values) == 1):
            return
        self._check_values(example, known)
        own = self._own(cats, known)
        positive = [key for key, value in own.items() if value > 0]
        unknown = [key for key in positive if key not in known]
        if unknown:
            label = unknown[0][len(self.label_prefix) :]
            raise ValueError(
                f"head {self.name!r}: label {label!r} {_where(example)} was not seen at initialisation; add it with "
                f"add_label({label!r}, head={self.name!r}), or initialise with examples or labels that have it"
            )
        if self.exclusive and sum(own[key] for key in positive) > 1.0 + TOLERANCE:
            raise ValueError(
                f"head {self.name!r}: {len(positive)} classes are positive {_where(example)}: {positive}; its classes "
                "are exclusive, so keep one, or set exclusive = false"
            )
        if self.exclusive and not positive and known <= cats.keys():
            raise ValueError(
                f"head {self.name!r}: no class is positive {_where(example)}; its classes are exclusive, so set one to "
                "1.0, leave the head's keys out of cats if the doc is not annotated, or set exclusive = false"
            )

    def _check_values(self, example: Example, known: frozenset[str]) -> None:
        """Refuse values of `cats` that are no probabilities."""
        for key, value in self._own(self._cats(example), known).items():
            if not isinstance(value, Real) or not -TOLERANCE <= value <= 1.0 + TOLERANCE:
                raise ValueError(
                    f"head {self.name!r}: label {key[len(self.label_prefix) :]!r} has the value {value!r} "
                    f"{_where(example)}; values of cats must be numbers from 0 to 1: 1.0 if the class applies, 0.0 if "
                    "it does not; leave the key out if that is not known"
                )

    def _exclusive_loss(self, gold: ArrayT, scores: ArrayT) -> tuple[ArrayT, ArrayT]:
        """Per-doc losses (n_docs,) and the gradient of their sum."""
        xp = get_array_module(scores)
        absent = xp.isnan(gold)
        values = xp.where(absent, 0.0, gold)
        total = values.sum(axis=1, keepdims=True)
        probabilities = softmax(scores)
        open_mass = xp.where(absent, probabilities, 0.0)
        shared = open_mass / xp.maximum(open_mass.sum(axis=1, keepdims=True), 1e-30)
        shares = values / xp.maximum(total, 1e-30)
        target = xp.where(total > 0, self._smooth(shares), shared)
        log_open = -xp.log(xp.maximum(open_mass.sum(axis=1), 1e-30))
        losses = xp.where(total[:, 0] > 0, _cross_entropy(target, scores), log_open)
        factor = (~absent).any(axis=1) * xp.where(total[:, 0] > 0, shares @ self._class_weights(scores), 1.0)
        return losses * factor, ((probabilities - target) * factor[:, None]).astype(scores.dtype)

    def _smooth(self, target: ArrayT) -> ArrayT:
        """Give a share of each row's probability to the other classes."""
        n_others = target.shape[1] - 1
        if not n_others:
            return target
        return target * (1.0 - self.label_smoothing) + (1.0 - target) * (self.label_smoothing / n_others)

    def _multilabel_loss(self, gold: ArrayT, scores: ArrayT) -> tuple[ArrayT, ArrayT]:
        """Per-doc losses (n_docs,) and the gradient of their sum."""
        xp = get_array_module(scores)
        factor = xp.where(xp.isnan(gold), 0.0, self._class_weights(scores))
        target = xp.where(xp.isnan(gold), 0.0, gold)
        losses = (softplus(scores) - target * scores) * factor
        return losses.sum(axis=1), ((sigmoid(scores) - target) * factor).astype(scores.dtype)

    def _class_weights(self, scores: ArrayT) -> ArrayT:
        self._check_class_weights()
        weights = [self.class_weights.get(label, 1.0) for label in self.labels]
        return get_array_module(scores).asarray(weights, dtype="f")

    def _check_class_weights(self) -> None:
        unknown = set(self.class_weights) - set(self.labels)
        if unknown:
            raise ValueError(
                f"head {self.name!r}: class_weights names {sorted(unknown)}, but the labels are {list(self.labels)}; "
                "correct the names, without label_prefix, or leave them out"
            )


@lru_cache(maxsize=64)
def _with_prefix(prefix: str, labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(prefix + label for label in labels)


def _where(example: Example) -> str:
    return f"in doc {snippet(example.reference.text)}"


def _cross_entropy(target: ArrayT, logits: ArrayT) -> ArrayT:
    return -(target * log_softmax(logits)).sum(axis=1)


def _binary_cross_entropy(target: ArrayT, logits: ArrayT) -> ArrayT:
    return (softplus(logits) - target * logits).sum(axis=1)
