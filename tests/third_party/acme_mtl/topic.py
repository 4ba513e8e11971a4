"""A head with labels: the topic of a doc, in `cats` keys with a prefix of its own."""

import numpy as np
from thinc.api import Linear, Model
from thinc.types import Ragged

from spacy_mtl.protocols.head import HeadInput

PREFIX = "topic:"


def make_topic_v1():
    """Build the head."""
    return Topic(Model("topic", forward, init=init, layers=[Linear()], attrs={"labels": []}))


def forward(model, X, is_train):
    """The mean of a doc's token vectors -> logits (n_docs, n_labels)."""
    lengths = X.tokvecs.lengths
    means = model.ops.reduce_mean(X.tokvecs.dataXd, lengths)
    logits, bp_logits = model.layers[0](means, is_train)

    def backprop(d_logits):
        return HeadInput([], Ragged(model.ops.backprop_reduce_mean(bp_logits(d_logits), lengths), lengths), [])

    return logits, backprop


def init(model, X=None, Y=None):
    """Set the sizes."""
    model.layers[0].set_dim("nO", len(model.attrs["labels"]))
    model.layers[0].set_dim("nI", X.tokvecs.dataXd.shape[1])
    model.layers[0].initialize()


def softmax(scores):
    """Rows of probabilities."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


class Topic:
    """Exclusive classes."""

    main_score = "acc"
    standard_scores = {}
    gold_attributes = ("doc.cats",)
    overlap_fix = "keep one of them"

    def __init__(self, model):
        self.name = "topic"
        self.model = model

    @property
    def labels(self):
        return tuple(self.model.attrs["labels"])

    @property
    def writes(self):
        return {f"doc.cats[{PREFIX + label!r}]": label for label in self.labels}

    def add_label(self, label):
        if label in self.labels:
            return 0
        self.model.attrs["labels"] = [*self.labels, label]
        return 1

    def gold_labels(self, doc):
        return {key[len(PREFIX) :] for key in doc.cats if key.startswith(PREFIX)}

    def collect_labels(self, examples):
        self.model.attrs["labels"] = sorted({label for eg in examples for label in self.gold_labels(eg.reference)})

    def count_gold(self, doc, counts):
        counts[self._gold(doc)] += 1
        return 1

    def rename_labels(self, source, target, mapping):
        cats = {mapping.get(key, key): value for key, value in source.cats.items()}
        target.cats = {key: value for key, value in cats.items() if key is not None}

    def has_gold(self, example):
        return self._gold(example.reference) in self.labels

    def get_loss(self, examples, scores):
        d_scores = np.zeros_like(scores)
        loss = 0.0
        for row, eg in enumerate(examples):
            if self.has_gold(eg):
                gold = self.labels.index(self._gold(eg.reference))
                probabilities = softmax(scores[row : row + 1])[0]
                loss -= float(np.log(probabilities[gold]))
                d_scores[row] = probabilities
                d_scores[row, gold] -= 1.0
        if not any(map(self.has_gold, examples)):
            return 0.0, None
        return loss / len(examples), d_scores / len(examples)

    def decode(self, docs, scores):
        return softmax(scores)

    def set_annotations(self, docs, annotations):
        for doc, row in zip(docs, annotations):
            doc.cats.update({PREFIX + label: float(p) for label, p in zip(self.labels, row)})

    def score(self, examples):
        found = [correct for eg in examples if (correct := self.is_correct(eg)) is not None]
        return {"acc": sum(found) / len(found) if found else None}

    def is_correct(self, example):
        return self._predicted(example.predicted) == self._gold(example.reference) if self.has_gold(example) else None

    @property
    def learns_from(self):
        return frozenset(self.writes)

    def confidence(self, docs, scores):
        return softmax(scores.astype("d")).max(axis=1)

    def same_annotation(self, one, other):
        return self._predicted(one) == self._predicted(other)

    def copy_annotation(self, source, target):
        best = self._predicted(source)
        target.cats.update({PREFIX + label: float(label == best) for label in self.labels})

    def _gold(self, doc):
        return next((key[len(PREFIX) :] for key, value in doc.cats.items() if value and key.startswith(PREFIX)), None)

    def _predicted(self, doc):
        return max(self.labels, key=lambda label: doc.cats.get(PREFIX + label, 0.0))
