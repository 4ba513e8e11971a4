"""Lemmas by edit trees, as spaCy's `trainable_lemmatizer`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IDS as ATTR_IDS
from spacy.attrs import LEMMA, ORTH
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model
from thinc.types import Floats2d, Ragged
from thinc.util import to_numpy

from ...gold import batch_values, count_values, token_values
from ...layers.calibrated import calibrated_softmax
from ...layers.conditioned_linear import conditioned_linear, grow_conditioned
from ...layers.dropout import dropout
from ...layers.label_evidence import LabelEvidence, token_evidence
from ...layers.log_odds import token_target
from ...layers.token_losses import least_certain, token_loss, token_teacher_loss
from ...metrics.token_metrics import TokenVerdicts, judge_tokens, main_score_of_tokens
from ...protocols.arrays import ArrayT, FloatsT, IntsT
from ...protocols.decisions import Decisions, RowT
from ...protocols.head import HeadInput, HeadModelT
from ...protocols.head_calibration import temperature_of
from ...protocols.head_explanation import Target, TargetName, check_label, check_place
from ...protocols.head_prediction import TokenLabels
from ..bases.model_labels import ModelLabels
from ..bases.scored_by_verdicts import ScoredByVerdicts
from .edit_tree_labels import ARROW, EditTreeLabels, find_labels, pair_of

# what gold lemmas are counted as that no label makes
OTHER = "other"
BACKOFFS = ("orth", "lower", "norm")


def make_lemmatizer_v1(
    min_tree_freq: int = 3,
    top_k: int = 3,
    ignore_case: bool = True,
    backoff: str | None = "orth",
    overwrite: bool = False,
    condition_on: str | list[str] | None = None,
) -> "Lemmatizer":
    """Build a lemmatizer: one softmax per token over edit trees (Müller et al. 2015, "Joint Lemmatization and
    Morphological Tagging with Lemming", EMNLP), made by spaCy's own `EditTrees`.

    A label is named by the most frequent pair of form and lemma of its tree, such as `"was → be"`. A token is missing
    gold if its lemma is unset, or if it is not aligned one to one with a gold token. A token whose tree is not frequent
    enough to be a label is not learned from, and counts in scores. The loss is the cross-entropy, in nats per token.
    Main score: `acc`.

    min_tree_freq (int): Number of gold tokens that a tree must have to become a label.
    top_k (int): Number of trees that are tried, the likeliest first. A tree may not fit a form.
    ignore_case (bool): Make lemmas that are in lower case from the form in lower case, so that `"Was"` and `"was"` have
        one tree. False makes all of them from the form as it is, as spaCy does.
    backoff (str | None): Lexical attribute that becomes the lemma where no tree fits: `"orth"`, `"lower"` or `"norm"`.
        Null leaves the lemma unset.
    overwrite (bool): Replace lemmas that the doc already has.
    condition_on (str | list[str] | None): Names of heads whose predicted distribution each token sees, such as the part
        of speech.
    """
    for name, value in (("min_tree_freq", min_tree_freq), ("top_k", top_k)):
        if value < 1:
            raise ValueError(f"Lemmatizer: {name} is {value}; it must be at least 1")
    if backoff is not None and backoff not in BACKOFFS:
        raise ValueError(f"Lemmatizer: backoff is {backoff!r}; use one of {list(BACKOFFS)}, or null")
    conditions = [condition_on] if isinstance(condition_on, str) else condition_on or []
    return Lemmatizer(
        build_model(len(conditions)),
        min_tree_freq=min_tree_freq,
        top_k=top_k,
        ignore_case=ignore_case,
        backoff=backoff,
        overwrite=overwrite,
        condition_on=conditions,
    )


def build_model(n_conditions: int) -> HeadModelT:
    """Token vectors and conditions -> logits (n_tokens, n_labels)."""
    layers: list[Model[Any, Any]] = [dropout(), conditioned_linear(n_conditions)]
    return Model("lemmatizer", forward, init=init, layers=layers, attrs={"labels": []})


def forward(model: HeadModelT, X: HeadInput, is_train: bool) -> tuple[Floats2d, Any]:
    """RETURNS: logits (n_tokens, n_labels), and backprop to the input."""
    drop, output = model.layers
    dropped, bp_dropped = drop(X.tokvecs.dataXd, is_train)
    logits, bp_logits = output([dropped, *X.conditions], is_train)

    def backprop(d_logits: Floats2d) -> HeadInput:
        d_dropped, *d_conditions = bp_logits(d_logits)
        return HeadInput([], Ragged(bp_dropped(d_dropped), X.tokvecs.lengths), d_conditions)

    return logits, backprop


def init(model: HeadModelT, X: HeadInput | None = None, Y: Any = None) -> None:
    """Set the sizes from the sample and the labels."""
    assert X is not None
    output = model.layers[1]
    output.set_dim("nO", len(model.attrs["labels"]), force=True)
    output.initialize([X.tokvecs.dataXd, *X.conditions])


@dataclass
class Lemmas:
    """Lemmas of a batch.

    names (list[str]): The different lemmas.
    places (IntsT): The index of each token's lemma, (n_tokens,), -1 where no tree fits.
    trees (IntsT): The index of the label that made it, (n_tokens,), -1 where no tree fits.
    """

    names: list[str]
    places: IntsT
    trees: IntsT


class Lemmatizer(ScoredByVerdicts, ModelLabels):
    """Head that gives each token a lemma. The loss is computed per token.

    A token is not annotated if its gold lemma is unset, or if it is not aligned one to one with a gold token.

    labels (tuple[str, ...]): Edit trees, each named by a form and its lemma.
    """

    main_score = "acc"
    standard_scores: Mapping[str, str] = {"lemma_acc": "acc"}
    gold_attributes = ("token.lemma",)
    overlap_fix = "keep one of them"

    def __init__(
        self,
        model: HeadModelT,
        *,
        min_tree_freq: int,
        top_k: int,
        ignore_case: bool,
        backoff: str | None,
        overwrite: bool,
        condition_on: Sequence[str],
    ) -> None:
        self.name = "lemmatizer"
        self.model = model
        self.min_tree_freq = min_tree_freq
        self.top_k = top_k
        self.ignore_case = ignore_case
        self.backoff = backoff
        self.overwrite = overwrite
        self.condition_on = tuple(condition_on)
        # the trees, and the list of labels that they were made from
        self._made: tuple[list[str], EditTreeLabels] | None = None

    @property
    def writes(self) -> dict[str, str]:
        """The lemma."""
        return {"token.lemma": ""}

    def add_label(self, label: str) -> int:
        """Add the edit tree of a pair such as "was → be". If the network already has its shape, it grows, and the new
        weights are zero.
        """
        try:
            form, lemma = pair_of(label)
        except ValueError as error:
            raise ValueError(f"head {self.name!r}: {error}") from None
        return 0 if self._trees.index(form, lemma) >= 0 else super().add_label(label)

    def _grow(self, n_labels: int) -> None:
        """Grow the output layer and the projections of conditions."""
        grow_conditioned(self.model.layers[1], n_labels)

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Collect the edit trees of all gold tokens that are frequent enough. Known trees keep their names."""
        pairs = (pair for eg in examples for pair in _pairs(eg.reference))
        labels = find_labels(pairs, ignore_case=self.ignore_case, min_freq=self.min_tree_freq)
        names = [self._label_of(*pair_of(label)) or label for label in labels]
        self.model.attrs["labels"] = names

    def gold_labels(self, doc: Doc) -> set[str]:
        """Describe the edit trees of a gold doc."""
        trees = EditTreeLabels([], ignore_case=self.ignore_case)
        return {trees.describe(form, lemma) for form, lemma in set(_pairs(doc))}

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Count the labels. A token with a lemma is one unit."""
        pairs = Counter(_pairs(doc))
        for (form, lemma), number in pairs.items():
            counts[self._label_of(form, lemma) or OTHER] += number
        return pairs.total()

    def count_units(self, examples: Sequence[Example]) -> int:
        """Count the tokens with a lemma."""
        return count_values(examples, "LEMMA", LEMMA)

    def has_gold(self, example: Example) -> bool:
        """Check whether any token that is aligned one to one has a lemma."""
        return bool(token_values(example, "LEMMA", LEMMA).any())

    def get_loss(self, examples: Sequence[Example], scores: Floats2d) -> tuple[float, Floats2d | None]:
        """Cross-entropy in nats."""
        return token_loss(self._gold(examples), scores)

    def get_teacher_loss(self, teacher: Floats2d, scores: Floats2d) -> tuple[float, Floats2d]:
        """Cross-entropy against the teacher's probabilities, over the trees that the teacher has."""
        return token_teacher_loss(teacher, scores)

    def decode(self, docs: Sequence[Doc], scores: Floats2d) -> Lemmas:
        """The lemmas by the likeliest trees that fit. Each tree is applied once to each different form of the batch."""
        table: ArrayT = to_numpy(scores)
        forms, form_of = _forms(docs)
        names: dict[str, int] = {}
        places, trees = np.full((2, len(table)), -1)
        waiting = np.arange(len(table))
        candidates = table.argmax(axis=1)[:, None] if table.size else np.zeros((len(table), 0), dtype="int64")
        for rank in range(min(self.top_k, table.shape[1])):
            if not len(waiting):
                break
            if rank == 1:
                candidates = np.argsort(-table[waiting], axis=1, kind="stable")[:, : self.top_k]
            pairs, which = np.unique(form_of[waiting] * table.shape[1] + candidates[:, rank], return_inverse=True)
            made = [self._trees.apply(pair % table.shape[1], forms[pair // table.shape[1]]) for pair in pairs.tolist()]
            found = [-1 if lemma is None else names.setdefault(lemma, len(names)) for lemma in made]
            places[waiting] = np.array(found, dtype="int64")[which]
            trees[waiting] = np.where(places[waiting] < 0, -1, candidates[:, rank])
            missing = places[waiting] < 0
            trees[waiting[~missing]] = candidates[~missing, rank]
            waiting, candidates = waiting[missing], candidates[missing]
        return Lemmas(list(names), places, trees)

    def set_annotations(self, docs: Sequence[Doc], annotations: Lemmas) -> None:
        """Write the lemmas. Those that are already set stay, unless `overwrite` is set."""
        vocab, start = None, 0
        values: ArrayT = np.array([], dtype="uint64")
        for doc in docs:
            if not len(doc):
                continue
            if doc.vocab is not vocab:
                vocab = doc.vocab
                stored = np.array([*map(vocab.strings.add, annotations.names), 0], dtype="uint64")
                values = stored[annotations.places]
            new = values[start : start + len(doc)]
            start += len(doc)
            if self.backoff is not None and not new.all():
                new = np.where(new == 0, doc.to_array(ATTR_IDS[self.backoff.upper()]), new)
            if not self.overwrite and doc.has_annotation(LEMMA):
                old = doc.to_array(LEMMA)
                new = np.where(old == 0, new, old)
            doc.from_array(LEMMA, new)

    def prediction(self, doc: Doc) -> TokenLabels:
        """The lemma of each token."""
        return TokenLabels.read(doc, LEMMA)

    def targets(self, doc: Doc, scores: Floats2d, annotations: Lemmas) -> list[Target]:
        """The edit tree of each token that one fits, as in "was → be[3]", in the order of the text."""
        columns = annotations.trees.tolist()
        return [token_target(self.labels, place, column) for place, column in enumerate(columns) if column >= 0]

    def find_target(self, name: TargetName, doc: Doc, scores: Floats2d, annotations: Lemmas) -> Target:
        """Any edit tree at any token, whether it fits the form or not: under its name, or as any pair of form and lemma
        that it makes.
        """
        form, arrow, lemma = name.label.partition(ARROW)
        known = self._label_of(form, lemma) if form and arrow and lemma else None
        column = check_label(name if known is None else name._replace(label=known), self.labels, self.name)
        (place,) = check_place(name, doc, self.name, example=TargetName(name.label, (0,)))
        return token_target(self.labels, place, column)

    def verdicts(self, examples: Sequence[Example]) -> TokenVerdicts:
        """Compare the predicted lemmas with the gold ones. The score is `acc` over the annotated tokens."""
        return judge_tokens(examples, "lemma")

    def main_score_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Accuracy."""
        return main_score_of_tokens(counts)

    def decisions(self, examples: Sequence[Example]) -> Decisions:
        """The edit tree of each token that has gold. A lemma that none of the labels makes is none."""
        rows: list[RowT] = []
        for index, eg in enumerate(examples):
            strings = eg.reference.vocab.strings
            gold = token_values(eg, "LEMMA", LEMMA)
            for token in np.flatnonzero(gold).tolist():
                own = eg.predicted[token]
                label = self._label_of(own.text, strings[int(gold[token])])
                found = self._label_of(own.text, own.lemma_) if own.lemma else None
                if label or found:
                    rows.append((index, token, token + 1, label, found))
        return Decisions.from_rows("tokens", rows)

    @property
    def learns_from(self) -> frozenset[str]:
        """The lemma."""
        return frozenset(self.writes)

    def confidence(self, docs: Sequence[Doc], scores: Floats2d) -> NDArray[np.float64]:
        """Get the probability of the likeliest tree at the least certain token; 1 for a doc without tokens."""
        return least_certain(
            calibrated_softmax(scores, temperature_of(self.model, "tokens")).max(axis=1, initial=0.0), docs
        )

    def token_probabilities(self, docs: Sequence[Doc], scores: Floats2d, annotations: Lemmas) -> FloatsT:
        """Get the probability of the tree of each token's lemma, (n_tokens,); NaN where no tree fits."""
        probabilities = calibrated_softmax(scores, temperature_of(self.model, "tokens"))
        own = probabilities[np.arange(len(probabilities)), annotations.trees]
        return np.where(annotations.trees < 0, np.nan, own)

    def evidence(self, examples: Sequence[Example], scores: Floats2d) -> list[LabelEvidence]:
        """The tree of each token that has gold. Probabilities are written where a tree fits."""
        docs = [eg.predicted for eg in examples]
        has_gold = np.concatenate(batch_values(examples, "LEMMA", LEMMA)) != 0
        trees = self.decode(docs, scores).trees
        lengths = np.array([len(doc) for doc in docs])
        return [token_evidence(scores, self._gold(examples), has_gold, trees, lengths)]

    def same_annotation(self, one: Doc, other: Doc) -> bool:
        """Check whether all tokens have the same lemma in both docs."""
        return np.array_equal(one.to_array(LEMMA), other.to_array(LEMMA))

    def copy_annotation(self, source: Doc, target: Doc) -> None:
        """Copy the lemmas of all tokens."""
        values: ArrayT = source.to_array(LEMMA)
        for value in np.unique(values[values != 0]).tolist():
            target.vocab.strings.add(source.vocab.strings[int(value)])
        target.from_array(LEMMA, values)

    @property
    def _trees(self) -> EditTreeLabels:
        """The trees of the labels."""
        labels = self.model.attrs["labels"]
        if self._made is None or self._made[0] is not labels:
            self._made = labels, EditTreeLabels(labels, ignore_case=self.ignore_case)
        return self._made[1]

    def _label_of(self, form: str, lemma: str) -> str | None:
        """The label that makes the lemma of the form; None without any."""
        index = self._trees.index(form, lemma)
        return self.labels[index] if index >= 0 else None

    def _gold(self, examples: Sequence[Example]) -> IntsT:
        """The label index of each token of the batch, (n_tokens,), -1 where it is not annotated or has no label."""
        forms, form_of = _forms([eg.predicted for eg in examples])
        lemmas = np.concatenate(batch_values(examples, "LEMMA", LEMMA))
        known = np.flatnonzero(lemmas)
        values, lemma_of = np.unique(lemmas[known], return_inverse=True)
        strings = [eg.reference.vocab.strings for eg in examples]
        names = [next(store[value] for store in strings if value in store) for value in values.tolist()]
        pairs, which = np.unique(form_of[known] * max(len(names), 1) + lemma_of, return_inverse=True)
        found = [self._trees.index(forms[pair // len(names)], names[pair % len(names)]) for pair in pairs.tolist()]
        gold = np.full(len(lemmas), -1)
        gold[known] = np.array(found, dtype="int64")[which]
        return gold


def _pairs(doc: Doc) -> Iterable[tuple[str, str]]:
    """Form and lemma of each token that has a lemma."""
    return [(token.text, token.lemma_) for token in doc if token.lemma]


def _forms(docs: Sequence[Doc]) -> tuple[list[str], IntsT]:
    """RETURNS: the different forms of a batch, and the index of each token's form, (n_tokens,)."""
    empty = np.zeros(0, dtype="uint64")
    values = np.concatenate([empty, *(doc.to_array(ORTH) for doc in docs)])
    unique, firsts, form_of = np.unique(values, return_index=True, return_inverse=True)
    ends = np.cumsum([len(doc) for doc in docs])
    owners = np.searchsorted(ends, firsts, side="right").tolist()
    forms = [docs[owner].vocab.strings[value] for owner, value in zip(owners, unique.tolist(), strict=True)]
    return forms, form_of
