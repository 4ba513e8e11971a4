"""One label a token: tags, parts of speech, morphology or sentence starts."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import MORPH, POS, SENT_START, TAG
from spacy.parts_of_speech import IDS as POS_IDS
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Model
from thinc.types import Floats2d, Ints1d, Ragged
from thinc.util import to_numpy

from ..gold import batch_values, count_values, look_up, snippet, stored_values, token_values
from ..layers.calibrated import calibrated_softmax
from ..layers.dropout import dropout
from ..layers.label_evidence import LabelEvidence, token_evidence
from ..layers.linear import linear
from ..layers.log_odds import token_target
from ..layers.softmax import backprop_softmax, softmax
from ..layers.target_losses import token_target_loss, token_targets
from ..layers.token_losses import least_certain, token_loss, token_teacher_loss
from ..metrics.sentence_metrics import SentenceVerdicts, judge_sentences, main_score_of_sentences
from ..metrics.token_decisions import decisions_of_tokens
from ..metrics.token_metrics import TokenVerdicts, judge_tokens, main_score_of_tokens
from ..protocols.arrays import ArrayT, BoolsT, FloatsT
from ..protocols.decisions import Decisions
from ..protocols.head import HeadInput, HeadModelT
from ..protocols.head_calibration import temperature_of
from ..protocols.head_explanation import Target, TargetName, check_label, check_place
from ..protocols.head_prediction import TokenLabels
from ..protocols.soft_targets import KindT, SoftTarget, TargetsT
from ..protocols.token_values import TokenValues
from .bases.model_labels import ModelLabels
from .bases.scored_by_verdicts import ScoredByVerdicts

AttrT = Literal["tag", "pos", "morph", "sent_start"]

ATTR_IDS = {"tag": TAG, "pos": POS, "morph": MORPH, "sent_start": SENT_START}
# As spaCy's senter: I goes on with a sentence, S starts one.
SENT_STARTS = {"I": -1, "S": 1}
STANDARD_SCORES: dict[str, dict[str, str]] = {
    "tag": {"tag_acc": "acc"},
    "pos": {"pos_acc": "acc"},
    "morph": {"morph_acc": "acc", "morph_per_feat": "per_feat", "morph_micro_f": "micro_f"},
    "sent_start": {"sents_p": "p", "sents_r": "r", "sents_f": "f"},
}


def make_tagger_v1(attr: AttrT = "tag", overwrite: bool = False, label_smoothing: float = 0.0) -> "Tagger":
    """Build a tagger: one softmax per token, for the attribute `attr`.

    A token is missing gold if its value is unset, or if it is not aligned one to one with a gold token. The loss is the
    cross-entropy, in nats per token. Main score: `acc`, or for `sent_start` the F1 of whole sentences, `f`; for `morph`
    also spaCy's `micro_f` and `per_feat`.

    attr (str): Token attribute to learn and write: `"tag"`, `"pos"`, `"morph"` or `"sent_start"`.
    overwrite (bool): Replace values that the doc already has.
    label_smoothing (float): Share of the target probability that is spread evenly over the other labels, from 0 to
        below 1.
    """
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"Tagger: label_smoothing is {label_smoothing}; it must be at least 0 and less than 1")
    model = build_model()
    if attr == "sent_start":
        model.attrs["labels"] = list(SENT_STARTS)
    return Tagger(model, attr=attr, overwrite=overwrite, label_smoothing=label_smoothing)


def build_model() -> HeadModelT:
    """Token vectors -> logits (n_tokens, n_labels)."""
    drop = dropout()
    output = linear()
    model: HeadModelT = Model("tagger", forward, init=init, layers=[drop, output], attrs={"labels": []})
    model.set_ref("output", output)
    return model


def forward(model: HeadModelT, X: HeadInput, is_train: bool) -> tuple[Floats2d, Any]:
    """RETURNS: logits (n_tokens, n_labels), and backprop to the input."""
    dropped, bp_dropped = model.layers[0](X.tokvecs.dataXd, is_train)
    logits, bp_logits = model.get_ref("output")(dropped, is_train)

    def backprop(d_logits: Floats2d) -> HeadInput:
        return HeadInput([], Ragged(bp_dropped(bp_logits(d_logits)), X.tokvecs.lengths), [])

    return logits, backprop


def init(model: HeadModelT, X: HeadInput | None = None, Y: Any = None) -> None:
    """Set the sizes from the sample and the labels."""
    assert X is not None
    output = model.get_ref("output")
    output.set_dim("nO", len(model.attrs["labels"]), force=True)
    output.initialize(X.tokvecs.dataXd)


class Tagger(ScoredByVerdicts, ModelLabels):
    """Head that gives each token a label. The loss is computed per token.

    A token is not annotated if its gold value is unset, or if it is not aligned one to one with a gold token.

    Sentence starts are annotated for all tokens of a doc or for none, as in spaCy's senter. If any token after the
    first has one (`is_sent_start` is True or False), tokens without one are read as False:
    `sent_starts=[1, 0, 0, 1, 0]` is complete. `[1, 0, 0]` is missing gold, because spaCy marks the first token of every
    doc that it loads; a doc of one sentence needs `[True, False, False]`.

    labels (tuple[str, ...]): The values of the attribute; for `morph` feature strings in UD's form, for `sent_start` I
        and S.
    """

    overlap_fix = "keep one of them, or give them different attr"

    def __init__(self, model: HeadModelT, *, attr: AttrT, overwrite: bool, label_smoothing: float) -> None:
        self.name = attr
        self.model = model
        self.attr = attr
        self.overwrite = overwrite
        self.label_smoothing = label_smoothing
        self.main_score = "f" if attr == "sent_start" else "acc"

    @property
    def gold_attributes(self) -> tuple[str, ...]:
        """The token attribute."""
        return (f"token.{self.attr}",)

    @property
    def standard_scores(self) -> Mapping[str, str]:
        """The score keys of spaCy's own component for this attribute."""
        return STANDARD_SCORES[self.attr]

    @property
    def writes(self) -> dict[str, str]:
        """The token attribute."""
        return {f"token.{self.attr}": ""}

    def add_label(self, label: str) -> int:
        """Add a value. If the network already has its shape, it grows, and the new weights are zero. Raise a ValueError
        if the attribute can't have the value.
        """
        if label not in self.labels:
            if self.attr == "sent_start":
                raise ValueError(f"head {self.name!r}: the labels of sent_start are I and S; {label!r} can't be added")
            if self.attr == "pos" and label not in POS_IDS:
                raise ValueError(
                    f"head {self.name!r}: {label!r} is no part of speech; use one of {sorted(POS_IDS)[1:]}"
                )
        return super().add_label(label)

    def collect_labels(self, examples: Iterable[Example]) -> None:
        """Collect all values of gold tokens, in alphabetical order."""
        if self.attr == "sent_start":
            return
        first_seen: dict[str, Doc] = {}
        for eg in examples:
            strings = eg.reference.vocab.strings
            values = np.unique(eg.reference.to_array(ATTR_IDS[self.attr]))
            for value in values[values != 0]:
                first_seen.setdefault(strings[int(value)], eg.reference)
        for label, doc in first_seen.items():
            self._check_not_negative(label, first_seen, doc)
        self.model.attrs["labels"] = sorted(first_seen)

    def gold_labels(self, doc: Doc) -> set[str]:
        """Get the values of the tokens of a gold doc."""
        if self.attr == "sent_start":
            return set()
        values = np.unique(doc.to_array(ATTR_IDS[self.attr]))
        return {doc.vocab.strings[int(value)] for value in values if value}

    def count_gold(self, doc: Doc, counts: Counter[str]) -> int:
        """Count the values. A token with a value is one unit."""
        values, numbers = np.unique(stored_values(doc, ATTR_IDS[self.attr]), return_counts=True)
        found = {int(value): int(number) for value, number in zip(values, numbers, strict=True) if value}
        if self.attr == "sent_start":
            counts["S"] += found.get(1, 0)
            counts["I"] += sum(found.values()) - found.get(1, 0)
        else:
            counts.update({doc.vocab.strings[value]: number for value, number in found.items()})
        return sum(found.values())

    def count_units(self, examples: Sequence[Example]) -> int:
        """Count the tokens with a value."""
        return count_values(examples, self.attr.upper(), ATTR_IDS[self.attr])

    def rename_labels(self, source: Doc, target: Doc, mapping: Mapping[str, str | None]) -> None:
        """Rename values of the attribute. A dropped value is unset in the target."""
        if self.attr == "sent_start":
            return
        attr_id = ATTR_IDS[self.attr]
        add = target.vocab.morphology.add if self.attr == "morph" else target.vocab.strings.add
        values: ArrayT = source.to_array(attr_id)
        for value in np.unique(values[values != 0]).tolist():
            label = source.vocab.strings[int(value)]
            new = mapping.get(label, label)
            values[values == value] = 0 if new is None else add(new)
        target.from_array(attr_id, values)

    def has_gold(self, example: Example) -> bool:
        """Check whether any token that is aligned one to one has a value."""
        return bool(token_values(example, self.attr.upper(), ATTR_IDS[self.attr]).any())

    def condition(self, scores: Floats2d, lengths: Ints1d) -> tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
        """The probabilities of the values at each token."""
        probabilities = softmax(scores)
        return probabilities, lambda gradient: backprop_softmax(probabilities, gradient)

    def get_loss(self, examples: Sequence[Example], scores: Floats2d) -> tuple[float, Floats2d | None]:
        """Cross-entropy in nats, with the smoothed target if asked for."""
        return token_loss(self._gold(examples), scores, label_smoothing=self.label_smoothing)

    def get_teacher_loss(self, teacher: Floats2d, scores: Floats2d) -> tuple[float, Floats2d]:
        """Cross-entropy against the teacher's probabilities, over the values that the teacher has."""
        return token_teacher_loss(teacher, scores)

    @property
    def target_kind(self) -> KindT:
        """A label for each token."""
        return "tokens"

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The values of the attribute."""
        return self.labels

    def labels_of_columns(self, columns: Sequence[str]) -> list[str]:
        """The values themselves."""
        return sorted(columns)

    def soft_targets(
        self, docs: Sequence[Doc], scores: Floats2d, *, temperature: float, top: int
    ) -> Sequence[SoftTarget]:
        """Get the probabilities of the likeliest values of each token."""
        probabilities = softmax(to_numpy(scores).astype("d") / temperature)
        return token_targets(docs, self.labels, probabilities, temperature=temperature, top=top)

    def get_target_loss(
        self, docs: Sequence[Doc], targets: TargetsT, scores: Floats2d, weights: FloatsT
    ) -> tuple[float, Floats2d | None]:
        """Cross-entropy against the teacher's values, in nats per token."""
        return token_target_loss(docs, targets, scores, weights, labels=self.labels, name=self.name)

    def decode(self, docs: Sequence[Doc], scores: Floats2d) -> NDArray[np.int64]:
        """The label index of each token, (n_tokens,)."""
        return to_numpy(scores.argmax(axis=1)) if scores.size else np.zeros(len(scores), dtype="int64")

    @property
    def finds_sentences(self) -> bool:
        """Whether the attribute is `sent_start`."""
        return self.attr == "sent_start"

    def found_starts(self, annotations: NDArray[np.int64]) -> BoolsT:
        """Get the tokens that begin a sentence, (n_tokens,)."""
        return annotations == list(SENT_STARTS).index("S")

    def set_annotations(self, docs: Sequence[Doc], annotations: NDArray[np.int64]) -> None:
        """Write the attribute. Values that are already set stay, unless `overwrite` is set."""
        attr_id, start = ATTR_IDS[self.attr], 0
        values = self._stored_annotations(docs, annotations)
        for doc in docs:
            if not len(doc):
                continue
            new: ArrayT = values[start : start + len(doc)]
            start += len(doc)
            # A doc's first token starts a sentence, which has_annotation passes over.
            if not self.overwrite and (self.attr == "sent_start" or doc.has_annotation(attr_id)):
                old = doc.to_array(attr_id)
                new = np.where(old == 0, new, old)
            doc.from_array(attr_id, new)

    def prediction(self, doc: Doc) -> TokenLabels:
        """The value of each token; for `sent_start` S where a sentence starts, and I elsewhere."""
        if self.attr == "sent_start":
            return TokenLabels(["S" if value == 1 else "I" for value in doc.to_array(SENT_START).tolist()])
        return TokenLabels.read(doc, ATTR_IDS[self.attr])

    def token_values(self, docs: Sequence[Doc], annotations: NDArray[np.int64]) -> TokenValues | None:
        """The values of the attribute. None for sentence starts that do not replace those of the doc: every doc has
        one.
        """
        if self.attr == "sent_start" and not self.overwrite:
            return None
        attr_id = ATTR_IDS[self.attr]
        values = self._stored_annotations(docs, annotations)
        return TokenValues((attr_id,), values[None], None if self.overwrite else attr_id)

    def targets(self, doc: Doc, scores: Floats2d, annotations: NDArray[np.int64]) -> list[Target]:
        """The value of each token, as in "NOUN[3]", in the order of the text."""
        return [token_target(self.labels, place, column) for place, column in enumerate(annotations.tolist())]

    def find_target(self, name: TargetName, doc: Doc, scores: Floats2d, annotations: NDArray[np.int64]) -> Target:
        """Any value of any token."""
        column = check_label(name, self.labels, self.name)
        (place,) = check_place(name, doc, self.name, example=TargetName(name.label, (0,)))
        return token_target(self.labels, place, column)

    def verdicts(self, examples: Sequence[Example]) -> TokenVerdicts | SentenceVerdicts:
        """Compare the predicted values with the gold ones: of tokens, or of whole sentences.

        The scores are `acc` over the annotated tokens; for `morph` also spaCy's `micro_f` and `per_feat`; for
        `sent_start` precision, recall and F1 of whole sentences (`p`, `r`, `f`).
        """
        return judge_sentences(examples) if self.attr == "sent_start" else judge_tokens(examples, self.attr)

    def main_score_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Accuracy, or F1 of whole sentences."""
        return main_score_of_sentences(counts) if self.attr == "sent_start" else main_score_of_tokens(counts)

    def decisions(self, examples: Sequence[Example]) -> Decisions:
        """The value of each token that has gold."""
        strings: list[Any] = [doc.vocab.strings for eg in examples[:1] for doc in (eg.reference, eg.predicted)]
        if self.attr == "sent_start":
            codes = {int(np.uint64(code % 2**64)): label for label, code in SENT_STARTS.items()}
            return decisions_of_tokens(examples, self.attr, codes.__getitem__)
        return decisions_of_tokens(examples, self.attr, lambda value: next(s[value] for s in strings if value in s))

    @property
    def learns_from(self) -> frozenset[str]:
        """The token attribute."""
        return frozenset(self.writes)

    def confidence(self, docs: Sequence[Doc], scores: Floats2d) -> NDArray[np.float64]:
        """Get the probability of the predicted value at the least certain token; 1 for a doc without tokens."""
        return least_certain(
            calibrated_softmax(scores, temperature_of(self.model, "tokens")).max(axis=1, initial=0.0), docs
        )

    def token_probabilities(self, docs: Sequence[Doc], scores: Floats2d, annotations: NDArray[np.int64]) -> FloatsT:
        """Get the probability of each token's value, (n_tokens,)."""
        return calibrated_softmax(scores, temperature_of(self.model, "tokens")).max(axis=1, initial=0.0)

    def evidence(self, examples: Sequence[Example], scores: Floats2d) -> list[LabelEvidence]:
        """The value of each token that has gold."""
        docs = [eg.predicted for eg in examples]
        gold, values = self._look_up(examples)
        lengths = np.array([len(doc) for doc in docs])
        return [token_evidence(scores, gold, values != 0, self.decode(docs, scores), lengths)]

    def same_annotation(self, one: Doc, other: Doc) -> bool:
        """Check whether all tokens have the same value in both docs."""
        attr_id = ATTR_IDS[self.attr]
        return np.array_equal(one.to_array(attr_id), other.to_array(attr_id))

    def copy_annotation(self, source: Doc, target: Doc) -> None:
        """Copy the attribute of all tokens."""
        attr_id = ATTR_IDS[self.attr]
        # adds the labels to the target's vocab, which may be another
        self._stored_values(target.vocab)
        values: ArrayT = source.to_array(attr_id)
        target.from_array(attr_id, values)

    def _stored_values(self, vocab: Vocab) -> NDArray[np.uint64]:
        """The labels as the doc stores them."""
        if self.attr == "sent_start":
            return np.array(list(SENT_STARTS.values()), dtype="int64").astype("uint64")
        add = vocab.morphology.add if self.attr == "morph" else vocab.strings.add
        return np.array([add(label) for label in self.labels], dtype="uint64")

    def _stored_annotations(self, docs: Sequence[Doc], annotations: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The value of each token as the doc stores it, (n_tokens,). Only labels that occur are added to the vocabs."""
        if self.attr == "sent_start":
            return np.array(list(SENT_STARTS.values()), dtype="int64").astype("uint64")[annotations]
        labels = self.model.attrs["labels"]
        values = np.zeros(len(labels), dtype="uint64")
        used = np.flatnonzero(np.bincount(annotations, minlength=len(labels))).tolist()
        for vocab in {id(doc.vocab): doc.vocab for doc in docs}.values():
            add = vocab.morphology.add if self.attr == "morph" else vocab.strings.add
            # a value is the same in every vocab
            values[used] = [add(labels[index]) for index in used]
        return values[annotations]

    def _gold(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """The label index of each token of the batch, (n_tokens,), -1 where it is not annotated."""
        gold, flat = self._look_up(examples)
        unknown = np.flatnonzero((gold < 0) & (flat != 0))
        if len(unknown):
            ends = np.cumsum([len(eg.predicted) for eg in examples])
            index = int(np.searchsorted(ends, unknown[0], side="right"))
            doc = examples[index].reference
            label = doc.vocab.strings[int(flat[unknown[0]])]
            self._check_not_negative(label, self.labels, doc)
            raise ValueError(
                f"head {self.name!r}: {self.attr} {label!r} in doc {snippet(doc.text)} was not seen at initialisation; "
                f"add it with add_label({label!r}, head={self.name!r}), or initialise with examples or labels "
                "that have it"
            )
        return gold

    def _look_up(self, examples: Sequence[Example]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """The label index of each token of the batch, (n_tokens,), -1 where it has no gold or is not known, and what
        the gold docs store, 0 without gold.
        """
        flat = np.concatenate(batch_values(examples, self.attr.upper(), ATTR_IDS[self.attr]))
        return look_up(flat, self._stored_values(examples[0].reference.vocab).tolist()), flat

    def _check_not_negative(self, label: str, labels: Container[str], doc: Doc) -> None:
        """Refuse "!N" where N is a label: spaCy's tagger reads it as "is not N"."""
        if label.startswith("!") and label[1:] in labels:
            raise ValueError(
                f"head {self.name!r}: {self.attr} {label!r} in doc {snippet(doc.text)} says what a token is not, which "
                f"this head can't learn from; leave the token's {self.attr} unset, or rename the label if it is more "
                f"than the opposite of {label[1:]!r}"
            )
