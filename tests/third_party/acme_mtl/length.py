"""The smallest head: one number a doc, no labels. It learns how many characters a doc has."""

import numpy as np
from thinc.api import Linear, Model
from thinc.types import Ragged

from spacy_mtl.protocols.head import HeadInput

KEY = "acme.length"


def make_length_v1(scale: float = 100.0):
    """Build the head."""
    return Length(Model("length", forward, init=init, layers=[Linear(nO=1)]), scale)


def forward(model, X, is_train):
    """The sum of a doc's token vectors -> a number, (n_docs, 1)."""
    lengths = X.tokvecs.lengths
    sums = model.ops.reduce_sum(X.tokvecs.dataXd, lengths)
    Y, bp_Y = model.layers[0](sums, is_train)

    def backprop(dY):
        return HeadInput([], Ragged(model.ops.backprop_reduce_sum(bp_Y(dY), lengths), lengths), [])

    return Y, backprop


def init(model, X=None, Y=None):
    """Set the size."""
    model.layers[0].set_dim("nI", X.tokvecs.dataXd.shape[1])
    model.layers[0].initialize()


class Length:
    """Squared error; every doc has gold."""

    main_score = "closeness"
    standard_scores = {}
    gold_attributes = ("doc.text",)
    overlap_fix = "keep one of them"
    writes = {"doc.user_data['acme.length']": ""}

    def __init__(self, model, scale):
        self.name = "length"
        self.model = model
        self.scale = scale

    def has_gold(self, example):
        return len(example.reference) > 0

    def get_loss(self, examples, scores):
        gold = np.array([[len(eg.reference.text) / self.scale] for eg in examples], dtype="f")
        difference = scores - gold
        return float((difference**2).sum()) / len(examples), 2 * difference / len(examples)

    def decode(self, docs, scores):
        return scores[:, 0] * self.scale

    def set_annotations(self, docs, annotations):
        for doc, value in zip(docs, annotations):
            doc.user_data[KEY] = float(value)

    def score(self, examples):
        errors = [abs(eg.predicted.user_data[KEY] - len(eg.reference.text)) / self.scale for eg in examples]
        return {"closeness": 1.0 / (1.0 + sum(errors) / len(errors))}

    def is_correct(self, example):
        return abs(example.predicted.user_data[KEY] - len(example.reference.text)) < 0.5 * self.scale
