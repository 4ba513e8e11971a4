"""Document classification: exclusive classes (softmax) or independent ones (sigmoid), written to `doc.cats`."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model, chain
from thinc.types import Floats2d, Ints1d, Ragged
from thinc.util import get_array_module, to_numpy

from ...config_mappings import read_mapping
from ...gold import renamed_cats
from ...gold_cats import GoldCats, cats_of
from ...layers.calibrated import calibrated_odds, calibrated_sigmoid, calibrated_softmax
from ...layers.class_losses import (
    binary_cross_entropy,
    cross_entropy,
    exclusive_loss,
    multilabel_loss,
)
from ...layers.doc_logits import doc_logits
from ...layers.dropout import dropout
from ...layers.label_evidence import LabelEvidence, OddsEvidence, chosen_items
from ...layers.linear import grow
from ...layers.log_odds import log_odds_at
from ...layers.old_labels import old_scores, with_new_labels
from ...layers.pooling import PoolingKindT, attention_weights
from ...layers.pooling import pooling as build_pooling
from ...layers.softmax import backprop_softmax, log_softmax, repeat_rows, sigmoid, softmax, softplus
from ...layers.target_losses import class_target_loss, class_targets
from ...metrics.class_metrics import SCORE_NAMES, SCORE_TABLES, ClassVerdicts, main_score_of_classes
from ...protocols.arrays import ArrayT, BoolsT, FloatsT, IntsT, ScoresT
from ...protocols.head import Head, HeadModelT
from ...protocols.head_calibration import Ranked, temperature_of, threshold_of_fit
from ...protocols.head_explanation import Target, TargetName, check_label
from ...protocols.head_gold import ClaimsCats
from ...protocols.head_prediction import Classes
from ...protocols.soft_targets import KindT, SoftTarget, TargetsT
from ..bases.model_labels import ModelLabels
from ..bases.scored_by_verdicts import DecidedByVerdicts
from .class_counts import count_loss
from .class_network import class_network
from .class_scores import ClassScores, decided_logits, gradient_of, logits_of, near_classes

# of so few numbers the loss takes less time in main memory than the calls for a GPU
FEW_SCORES = 2**16


def make_doc_classifier_v1(
    exclusive: bool = True,
    threshold: float = 0.5,
    pooling: list[PoolingKindT] = ["mean", "max"],  # noqa: B006  (a config needs a plain default; it is only read)
    label_prefix: str = "",
    class_weights: dict[str, Any] | list[Any] | None = None,
    label_smoothing: float = 0.0,
    count_classes: bool = False,
    near_tokens: bool = False,
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
    count_classes (bool): Learn how many classes a doc has too. The predicted classes are then the best K, for the K
        that explains best the scores of the classes and the count together, and `doc.cats` holds probabilities that are
        shifted so that these classes have more than 0.5. Only allowed if the classes are not exclusive.
    near_tokens (bool): Score each token for each class too, and add their average to the score of the doc, each class
        with an attention of its own (label attention). Heads that are conditioned on this one then see the classes near
        each token, not those of the whole doc. Only allowed if the classes are not exclusive.
    """
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"DocClassifier: label_smoothing is {label_smoothing}, expected at least 0 and less than 1")
    if label_smoothing and not exclusive:
        raise ValueError(
            f"DocClassifier: label_smoothing is {label_smoothing}, but the classes are not exclusive; set it to 0.0"
        )
    if not pooling:
        raise ValueError("DocClassifier: pooling is empty; name at least one of 'mean', 'max', 'attention'")
    for name, value in (("count_classes", count_classes), ("near_tokens", near_tokens)):
        if value and exclusive:
            raise ValueError(
                f"DocClassifier: {name} is true, but the classes are exclusive; set it to false, or exclusive = false"
            )
    check_threshold(threshold, "DocClassifier")
    weights = read_mapping(class_weights or {}, "DocClassifier: class_weights")
    for label, weight in weights.items():
        if not isinstance(weight, int | float) or not 0.0 <= weight < math.inf:
            raise ValueError(f"DocClassifier: class_weights has {label!r} = {weight}; a weight must be at least 0")
    return DocClassifier(
        build_model(pooling, counts=count_classes, near=near_tokens),
        exclusive=exclusive,
        threshold=threshold,
        label_prefix=label_prefix,
        class_weights=weights,
        label_smoothing=label_smoothing,
    )


def build_model(kinds: Sequence[PoolingKindT], *, counts: bool, near: bool) -> HeadModelT:
    """Token vectors -> pooled -> logits (n_docs, n_labels), or `ClassScores`."""
    attrs = {"labels": [], "owns_all_keys": True}
    pool: Model[Ragged, Floats2d] = chain(build_pooling(kinds), dropout())
    if counts or near:
        return class_network("doc_classifier", pool, attrs, counts=counts, near=near)
    return doc_logits("doc_classifier", pool, attrs)


def check_threshold(threshold: float, owner: str) -> None:
    """Raise a ValueError if the threshold is no probability."""
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"{owner}: threshold is {threshold}; it must be a probability, from 0 to 1")


class DocClassifier(DecidedByVerdicts, ModelLabels):
    """Head that gives each doc classes. The loss is computed per doc.

    A doc is not annotated if none of its `cats` keys is a label of the head. If the classes are not exclusive, a single
    absent key is not annotated either. Gold values are probabilities from 0 to 1; those of exclusive classes sum to at
    most 1. Keys of other heads are ignored. If the keys of an exclusive doc name only some of the labels, all with 0,
    the doc belongs to one of the other classes: these share the likelihood, and predicting any of them is right.

    labels (tuple[str, ...]): Class names without the prefix.
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
        self.claimants: tuple[ClaimsCats, ...] = ()
        self.main_score = "acc" if exclusive else "macro_f"

    def connect(self, heads: Mapping[str, Head]) -> None:
        """Remember the heads that claim keys of `doc.cats`, which are none of this head's."""
        self.claimants = tuple(head for head in heads.values() if isinstance(head, ClaimsCats))

    @property
    def keys(self) -> tuple[str, ...]:
        """The labels as `doc.cats` has them."""
        return _with_prefix(self.label_prefix, self.labels)

    @property
    def writes(self) -> dict[str, str]:
        """One name for each key of `doc.cats`."""
        return {f"doc.cats[{key!r}]": label for key, label in zip(self.keys, self.labels, strict=True)}

    def _grow(self, n_labels: int) -> None:
        """Grow the layers that have an output for each class. New keys of docs are no longer the head's own."""
        self.model.attrs["owns_all_keys"] = False
        for name in ("output", "near", "attention"):
            grow(self.model, name, n_labels)

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Collect all keys of the gold `cats` that have the prefix, in alphabetical order."""
        for eg in examples:
            cats_of(eg, self.name)
        self.model.attrs["labels"] = sorted({label for eg in examples for label in self.gold_labels(eg.reference)})
        self.model.attrs["owns_all_keys"] = True

    def gold_labels(self, doc: Doc) -> set[str]:
        """Get the labels for which a gold doc has a key, whether they apply or not."""
        is_own, size = self._gold_cats().is_own, len(self.label_prefix)
        return {key[size:] for key in doc.cats if is_own(key)}

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Count the classes that apply. A doc is one unit."""
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
        """Rename the keys of `cats`, whatever their prefix. A dropped key is absent in the target."""
        target.cats = renamed_cats(source.cats, mapping)

    def has_gold(self, example: Example) -> bool:
        """Check whether any label is a key of the gold `cats`."""
        cats = cats_of(example, self.name)
        return any(key in cats for key in self.keys)

    def check_gold(self, examples: Sequence[Example]) -> None:
        """Raise a ValueError for a single exclusive class, weights of unknown classes, or contradictory gold."""
        if self.exclusive and len(self.labels) == 1:
            raise ValueError(
                f"head {self.name!r}: its classes are exclusive, but {list(self.labels)} is all there is, so every doc "
                "would get it; add the other classes, or set exclusive = false"
            )
        self._check_class_weights()
        gold_cats = self._gold_cats()
        for eg in examples:
            gold_cats.check(eg)

    def find_mistake(self, example: Example) -> str | None:
        """Say what is wrong with the doc's `cats`, such as two positive classes where one is allowed."""
        try:
            self._gold_cats().check(example)
        except ValueError as error:
            return str(error)
        return None

    def with_threshold(self, threshold: float) -> "DocClassifier":
        """Copy the head with another threshold. The copy shares the network."""
        check_threshold(threshold, f"head {self.name!r}")
        changed = copy(self)
        changed.threshold = threshold
        return changed

    def condition(self, scores: ScoresT, lengths: Ints1d) -> tuple[Floats2d, Callable[[Floats2d], ScoresT]]:
        """Repeat the doc's class probabilities at each of its tokens, (n_tokens, n_labels). With `near_tokens` each
        token has the probabilities of the classes near it.
        """
        if isinstance(scores, ClassScores) and scores.weights.shape[1]:
            return near_classes(scores, lengths)
        probabilities = self._probabilities(logits_of(scores))
        repeated, bp_repeated = repeat_rows(probabilities, lengths)

        def backprop(d_repeated: Floats2d) -> ScoresT:
            gradient = bp_repeated(d_repeated)
            if self.exclusive:
                return backprop_softmax(probabilities, gradient)
            return gradient_of(gradient * probabilities * (1.0 - probabilities), scores)

        return repeated, backprop

    def get_loss(self, examples: Sequence[Example], scores: ScoresT) -> tuple[float, ScoresT | None]:
        """Negative log-likelihood of the gold classes, in nats: cross-entropy, or the sum of the classes' binary ones,
        and the cross-entropy of their number if it is learned too.

        If all keys of an exclusive doc are zero and some labels have no key, the doc belongs to one of those labels:
        they share the likelihood.
        """
        gold = self._gold(examples)
        if np.isnan(gold).all():
            return 0.0, None
        logits = logits_of(scores)
        near = to_numpy(logits) if logits.size <= FEW_SCORES else logits
        target, class_weights = get_array_module(near).asarray(gold), self._class_weights(near)
        if self.exclusive:
            losses, d_near = exclusive_loss(target, near, class_weights, label_smoothing=self.label_smoothing)
        else:
            losses, d_near = multilabel_loss(target, near, class_weights)
        xp = get_array_module(logits)
        d_scores = gradient_of(xp.asarray(d_near / len(examples)), scores)
        if isinstance(scores, ClassScores) and scores.counts.shape[1]:
            count_losses, d_counts = count_loss(xp.asarray(gold), scores.counts)
            losses, d_scores.counts = losses.sum() + count_losses.sum(), d_counts / len(examples)
        return float(losses.sum()) / len(examples), d_scores

    def gold_classes(self, examples: Iterable[Example]) -> list[str | None]:
        """Get the class of each doc; None if the doc is not annotated, or belongs to several classes."""
        labels = dict(zip(self.keys, self.labels, strict=True))
        positive = [
            [labels[key] for key, value in cats_of(eg, self.name).items() if key in labels and value > 0]
            for eg in examples
        ]
        return [found[0] if len(found) == 1 else None for found in positive]

    def get_teacher_loss(self, teacher: ScoresT, scores: ScoresT) -> tuple[float, ScoresT]:
        """Cross-entropy against the teacher's probabilities, over the classes that the teacher has."""
        logits, known = logits_of(scores), logits_of(teacher)
        target, old = self._probabilities(known), old_scores(logits, known)
        loss = cross_entropy(target, old) if self.exclusive else binary_cross_entropy(target, old)
        d_old = (self._probabilities(old) - target) / len(logits)
        d_scores = gradient_of(with_new_labels(d_old, logits), scores)
        if isinstance(scores, ClassScores) and scores.counts.shape[1]:
            counts = softmax(teacher.counts)
            loss = loss + cross_entropy(counts, scores.counts)
            d_scores.counts = (softmax(scores.counts) - counts) / len(logits)
        return float(loss.sum()) / len(logits), d_scores

    @property
    def target_kind(self) -> KindT:
        """Classes that exclude each other, or independent ones."""
        return "exclusive" if self.exclusive else "independent"

    @property
    def target_columns(self) -> tuple[str, ...]:
        """Its keys of `doc.cats`."""
        return self.keys

    def labels_of_columns(self, columns: Sequence[str]) -> list[str]:
        """Remove the prefix from keys; keys without it are no labels of the head."""
        return sorted(key.removeprefix(self.label_prefix) for key in columns if key.startswith(self.label_prefix))

    def soft_targets(
        self, docs: Sequence[Doc], scores: ScoresT, *, temperature: float, top: int
    ) -> Sequence[SoftTarget]:
        """Get the logits of all classes for each doc; with `count_classes` those that the number of classes has
        shifted.
        """
        return class_targets(self.keys, decided_logits(scores), exclusive=self.exclusive, temperature=temperature)

    def get_target_loss(
        self, docs: Sequence[Doc], targets: TargetsT, scores: ScoresT, weights: FloatsT
    ) -> tuple[float, ScoresT | None]:
        """Cross-entropy against the teacher's classes, in nats per doc. The number of classes is learned from gold
        alone.
        """
        loss, d_logits = class_target_loss(
            targets, logits_of(scores), weights, keys=self.keys, exclusive=self.exclusive, name=self.name
        )
        return loss, None if d_logits is None else gradient_of(d_logits, scores)

    def decode(self, docs: Sequence[Doc], scores: ScoresT) -> ArrayT:
        """Class probabilities, (n_docs, n_labels), calibrated if the head is."""
        logits = decided_logits(scores)
        if self._temperature == 1.0:
            return self._probabilities(logits)
        return self._calibrated(logits)

    def set_annotations(self, docs: Sequence[Doc], annotations: Floats2d) -> None:
        """Write the probabilities to `doc.cats`. Other keys stay."""
        keys = self.keys
        for doc, row in zip(docs, to_numpy(annotations).tolist(), strict=True):
            doc.cats.update(zip(keys, row, strict=True))

    def verdicts(self, examples: Sequence[Example]) -> ClassVerdicts:
        """Compare the predicted classes with the gold ones. Raises a ValueError for gold values that are no
        probabilities.

        The scores are spaCy's `score_cats` metrics, and `acc`: the share of annotated docs with the right class
        (exclusive) or with every annotated class on the right side of the threshold. Exclusive docs of which only some
        classes are known not to apply count for `acc` alone: any other class is right.
        The decisions are the class of each doc, or one row for each class that applies or is predicted. Exclusive docs
        of which only some classes are known not to apply are left out.
        """
        keys, gold_cats = self.keys, self._gold_cats()
        lengths = [len(eg.predicted) for eg in examples]
        verdicts = ClassVerdicts(
            lengths, keys, exclusive=self.exclusive, threshold=self.threshold, prefix=self.label_prefix
        )
        for row, eg in enumerate(examples):
            gold, predicted = cats_of(eg, self.name), eg.predicted.cats
            if gold_cats.keys.isdisjoint(gold):
                continue
            gold_cats.check_values(eg)
            if not self.exclusive:
                verdicts.set_multilabel(row, gold, predicted)
                continue
            own = gold_cats.own(gold)
            gold_key = max(own, key=own.__getitem__)
            is_decided = own[gold_key] > 0 or gold_cats.keys <= gold.keys()
            verdicts.set_exclusive(row, gold, predicted, gold_key=gold_key, is_decided=is_decided)
        return verdicts

    def main_score_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Accuracy if the classes are exclusive, else macro F1."""
        return main_score_of_classes(counts, exclusive=self.exclusive)

    @property
    def learns_from(self) -> frozenset[str]:
        """Its keys of `doc.cats`."""
        return frozenset(self.writes)

    def confidence(self, docs: Sequence[Doc], scores: ScoresT) -> NDArray[np.float64]:
        """Get the probability of the best class. If the classes are not exclusive, it is that of the least certain
        decision: p if the class is predicted, else 1 - p.
        """
        probabilities = self._calibrated(decided_logits(scores))
        if self.exclusive:
            return probabilities.max(axis=1)
        decided = probabilities >= self.threshold
        return np.where(decided, probabilities, 1.0 - probabilities).min(axis=1)

    def prediction(self, doc: Doc) -> Classes:
        """The class of the doc, or those that reach the threshold, and the probabilities of all."""
        cats = doc.cats
        scores = {label: cats[key] for key, label in zip(self.keys, self.labels, strict=True) if key in cats}
        order = sorted(scores, key=lambda label: -scores[label])
        return Classes(scores, order[:1] if self.exclusive else [one for one in order if scores[one] >= self.threshold])

    def evidence(self, examples: Sequence[Example], scores: ScoresT) -> list[LabelEvidence] | list[OddsEvidence]:
        """The class of each doc with exactly one gold class, or each annotated class of each doc."""
        logits: ArrayT = to_numpy(decided_logits(scores))
        if self.exclusive:
            classes, rows = self._gold_indices(examples)
            decided = logits.argmax(axis=1) if len(logits) else classes
            return [chosen_items(self._unit, np.arange(len(logits)), logits, classes, decided, rows)]
        values = self._known_gold(examples)
        owners, columns = np.nonzero(~np.isnan(values))
        gold: BoolsT = values[owners, columns] > 0
        shown = np.ones(len(owners), dtype=bool)
        return [OddsEvidence(self._unit, owners, logits[owners, columns], gold, shown, self.threshold)]

    @property
    def one_holds(self) -> bool:
        """Whether the classes are exclusive."""
        return self.exclusive

    def rank(self, docs: Sequence[Doc], scores: ScoresT, *, least: float, most: int) -> list[Ranked]:
        """The likeliest classes."""
        probabilities = self._calibrated(decided_logits(scores))
        logs = self._log_probabilities(scores)
        order = np.argsort(-logs, axis=1, kind="stable")[:, :most]
        found = []
        for row, columns in enumerate(order):
            kept = columns[logs[row, columns] >= least]
            n_decided = 1 if self.exclusive else int((probabilities[row] >= self.threshold).sum())
            found.append(Ranked([self.labels[column] for column in kept.tolist()], logs[row, kept], n_decided))
        return found

    def gold_logs(self, examples: Sequence[Example], scores: ScoresT) -> FloatsT:
        """The log-probability of each doc's class, or of its least probable one; NaN if not all classes are known."""
        logs = self._log_probabilities(scores)
        result = np.full(len(logs), np.nan)
        if self.exclusive:
            gold, rows = self._gold_indices(examples)
            result[rows] = logs[rows, gold[rows]]
            return result
        values = self._known_gold(examples)
        known = ~np.isnan(values).any(axis=1)
        result[known] = np.where(values > 0, logs, 0.0).min(axis=1, initial=0.0)[known]
        return result

    def targets(self, doc: Doc, scores: ScoresT, annotations: Floats2d) -> list[Target]:
        """The class of the doc, or those that reach the threshold, the most probable ones first. If none does, the most
        probable one.
        """
        probabilities = to_numpy(annotations)[0]
        order = (-probabilities).argsort(kind="stable")
        n_found = 1 if self.exclusive else max(1, int((probabilities >= self.threshold).sum()))
        return [self._target(column) for column in order[:n_found].tolist()]

    def find_target(self, name: TargetName, doc: Doc, scores: ScoresT, annotations: Floats2d) -> Target:
        """Any class."""
        return self._target(check_label(TargetName(str(name)), self.labels, self.name))

    def _target(self, column: int) -> Target:
        """The log-odds of a class. If the classes are not exclusive, these are its logit, before any shift to the
        number of classes.
        """

        def measure(scores: ScoresT) -> tuple[float, ScoresT]:
            logits = logits_of(scores)
            if self.exclusive:
                value, gradient = log_odds_at(logits, 0, column)
            else:
                value, gradient = float(logits[0, column]), np.zeros(logits.shape)
                gradient[0, column] = 1.0
            return value, gradient_of(get_array_module(logits).asarray(gradient, dtype="f"), scores)

        return Target(TargetName(self.labels[column]), "log-odds", (), measure)

    def attention(self, target: TargetName, tokvecs: Ragged, scores: ScoresT) -> FloatsT | None:
        """The attention of the class (`near_tokens`), else that of the pooling."""
        if isinstance(scores, ClassScores) and scores.weights.shape[1]:
            weights: FloatsT = to_numpy(scores.weights)[:, self.labels.index(str(target))].astype("d")
            return weights / weights.sum()
        return attention_weights(self.model, tokvecs)

    def same_annotation(self, one: Doc, other: Doc) -> bool:
        """Check whether both docs have the same class, or the same classes at the threshold."""
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

    @property
    def _unit(self) -> str:
        return "docs" if self.exclusive else "classes"

    @property
    def _temperature(self) -> float:
        return temperature_of(self.model, self._unit)

    def _calibrated(self, logits: ArrayT) -> FloatsT:
        """The probabilities at the head's temperature, in numpy and double precision, (n_docs, n_labels)."""
        if self.exclusive:
            return calibrated_softmax(logits, self._temperature)
        decided = to_numpy(sigmoid(logits)).astype("d") >= self.threshold
        fitted_with = threshold_of_fit(self.model, self.threshold)
        return calibrated_sigmoid(logits, decided, self._temperature, self.threshold, fitted_with=fitted_with)

    def _log_probabilities(self, scores: ScoresT) -> FloatsT:
        """The logs of the probabilities at the head's temperature, (n_docs, n_labels)."""
        logits: FloatsT = to_numpy(decided_logits(scores)).astype("d")
        if self.exclusive:
            logs: FloatsT = log_softmax(logits / self._temperature)
            return logs
        fitted_with = threshold_of_fit(self.model, self.threshold)
        below: FloatsT = -softplus(-calibrated_odds(logits, self._temperature, fitted_with))
        return below

    def _gold_indices(self, examples: Sequence[Example]) -> tuple[IntsT, IntsT]:
        """The index of each doc's class, (n_docs,), and the docs that have exactly one."""
        index = {label: column for column, label in enumerate(self.labels)}
        gold = np.array([-1 if name is None else index[name] for name in self.gold_classes(examples)], dtype="int64")
        return gold, np.flatnonzero(gold >= 0)

    def _known_gold(self, examples: Sequence[Example]) -> FloatsT:
        """The values of `cats`, (n_docs, n_labels), NaN where a key is absent."""
        rows = [[cats.get(key, np.nan) for key in self.keys] for cats in (cats_of(eg, self.name) for eg in examples)]
        return np.array(rows, dtype="d").reshape(len(examples), len(self.keys))

    def _gold_cats(self) -> GoldCats:
        keys, owns_all_keys = frozenset(self.keys), self.model.attrs["owns_all_keys"]
        is_claimed = self._is_claimed if self.claimants else None
        return GoldCats(self.name, self.label_prefix, keys, owns_all_keys, self.exclusive, is_claimed)

    def _is_claimed(self, key: str) -> bool:
        return any(head.claims_cat(key) for head in self.claimants)

    def _gold(self, examples: Sequence[Example]) -> NDArray[np.float32]:
        """The values of `cats`, (n_docs, n_labels), NaN where a key is absent."""
        keys, gold_cats = self.keys, self._gold_cats()
        gold = np.full((len(examples), len(keys)), np.nan, dtype="f")
        for row, eg in zip(gold, examples, strict=True):
            cats = cats_of(eg, self.name)
            if not cats:
                continue
            gold_cats.check(eg)
            row[:] = [cats.get(key, np.nan) for key in keys]
        return gold

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
