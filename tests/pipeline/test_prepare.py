"""Heads that work on the annotation of other heads, or on their own target, without a second pass through the encoder.

One classifies pairs of another head's entities, the other decodes a short sequence.
"""

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, heads_config
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import Adam, Linear, Model, fix_random_seed
from thinc.types import Ragged

from spacy_mtl.network.shared_encoder import make_shared_encoder_v1
from spacy_mtl.pipeline.multitask import Multitask
from spacy_mtl.protocols.between_heads import Prepares
from spacy_mtl.protocols.found_annotation import FindsSpans
from spacy_mtl.protocols.head import Head, HeadInput


def log_softmax(scores):
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def cross_entropy(scores, gold):
    """Summed loss in nats and its gradient; a gold of -1 is missing."""
    rows = np.flatnonzero(gold >= 0)
    log_probabilities = log_softmax(scores)
    d_scores = np.zeros_like(scores)
    d_scores[rows] = np.exp(log_probabilities[rows])
    d_scores[rows, gold[rows]] -= 1.0
    return -float(log_probabilities[rows, gold[rows]].sum()), d_scores


class Pairs:
    """Whether the first of two entities of a doc "likes" the second; gold in `user_data["likes"]`: pairs of starts."""

    main_score, standard_scores, overlap_fix = "acc", {}, ""
    gold_attributes = ("doc.user_data['likes']",)
    writes = {"doc.user_data['found']": ""}  # noqa: RUF012
    depends_on = ("ents",)

    def __init__(self):
        self.name = "pairs"
        self.model = Model("pairs", self.forward, init=self.init, layers=[Linear(nO=2)])
        self.calls = []

    def prepare(self, docs, examples, found):
        """The pairs of all entities: (doc, start of the first, start of the second), from gold or as decoded."""
        self.calls.append("predicted" if examples is None else "gold")
        if examples is None:
            spans = self.finder.found_spans(found["ents"])
            starts = [spans.starts[spans.docs == index].tolist() for index in range(len(docs))]
        else:
            starts = [[ent.start for ent in eg.reference.ents] for eg in examples]
        rows = [(i, a, b) for i, own in enumerate(starts) for a in own for b in own if a != b]
        return np.array(rows, dtype="int64").reshape(-1, 3)

    def forward(self, model, X, is_train):
        self.prepared, lengths, tokvecs = X.prepared, X.tokvecs.lengths, X.tokvecs.dataXd
        offsets = np.cumsum(lengths) - lengths
        first, second = (offsets[X.prepared[:, 0]] + X.prepared[:, column] for column in (1, 2))
        scores, bp_scores = model.layers[0](np.hstack([tokvecs[first], tokvecs[second]]), is_train)

        def backprop(d_scores):
            d_both = bp_scores(d_scores)
            d_tokvecs = np.zeros_like(tokvecs)
            np.add.at(d_tokvecs, first, d_both[:, : tokvecs.shape[1]])
            np.add.at(d_tokvecs, second, d_both[:, tokvecs.shape[1] :])
            return HeadInput([], Ragged(d_tokvecs, lengths), [])

        return scores, backprop

    def init(self, model, X=None, Y=None):
        model.layers[0].set_dim("nI", 2 * X.tokvecs.dataXd.shape[1])
        model.layers[0].initialize()

    def has_gold(self, example):
        return "likes" in example.reference.user_data

    def get_loss(self, examples, scores):
        gold = [
            int((a, b) in examples[i].reference.user_data["likes"]) if self.has_gold(examples[i]) else -1
            for i, a, b in self.prepared.tolist()
        ]
        loss, d_scores = cross_entropy(scores, np.array(gold, dtype="int64"))
        return loss / len(examples), d_scores / len(examples)

    def decode(self, docs, scores):
        return self.prepared[scores.argmax(axis=1) == 1] if len(scores) else self.prepared

    def set_annotations(self, docs, annotations):
        for index, doc in enumerate(docs):
            doc.user_data["found"] = [(a, b) for i, a, b in annotations.tolist() if i == index]

    def score(self, examples):
        return {"acc": float(np.mean([self.is_correct(eg) for eg in examples]))}

    def is_correct(self, example):
        return set(example.predicted.user_data["found"]) == set(example.reference.user_data["likes"])


class Spell:
    """Writes a word letter by letter: each step sees the mean of the doc's vectors and the letter before. In training
    the letters before are those of its target, in prediction its own.
    """

    main_score, standard_scores, overlap_fix = "acc", {}, ""
    gold_attributes = ("doc.user_data['word']",)
    writes = {"doc.user_data['spelled']": ""}  # noqa: RUF012
    depends_on = ()
    letters = "^abc"  # ^ begins
    size = 3

    def __init__(self):
        self.name = "spell"
        self.model = Model("spell", self.forward, init=self.init, layers=[Linear(nO=len(self.letters))])

    def prepare(self, docs, examples, found):
        assert not found
        if examples is None:
            return None
        words = ["^" + eg.reference.user_data["word"] for eg in examples]
        return np.array([[self.letters.index(letter) for letter in word] for word in words])

    def forward(self, model, X, is_train):
        lengths, n_letters = X.tokvecs.lengths, len(self.letters)
        means = model.ops.reduce_mean(X.tokvecs.dataXd, lengths)
        before = np.zeros(len(lengths), dtype="int64")
        steps = []
        for place in range(self.size):
            if X.prepared is not None:
                before = X.prepared[:, place]
            inputs = np.hstack([means, np.eye(n_letters, dtype="f")[before]])
            scores, bp_scores = model.layers[0](inputs, is_train)
            before = scores.argmax(axis=1)
            steps.append((scores, bp_scores))
        self.target = X.prepared

        def backprop(d_scores):
            parts = zip(steps, np.split(d_scores, self.size), strict=True)
            d_means = sum(bp(d_step)[:, : means.shape[1]] for (_, bp), d_step in parts)
            return HeadInput([], Ragged(model.ops.backprop_reduce_mean(d_means, lengths), lengths), [])

        return np.concatenate([scores for scores, _ in steps]), backprop

    def init(self, model, X=None, Y=None):
        model.layers[0].set_dim("nI", X.tokvecs.dataXd.shape[1] + len(self.letters))
        model.layers[0].initialize()

    def has_gold(self, example):
        return "word" in example.reference.user_data

    def get_loss(self, examples, scores):
        loss, d_scores = cross_entropy(scores, self.target[:, 1:].T.reshape(-1))
        return loss / len(examples), d_scores / len(examples)

    def decode(self, docs, scores):
        return np.array(np.split(scores.argmax(axis=1), self.size)).T

    def set_annotations(self, docs, annotations):
        for doc, row in zip(docs, annotations.tolist(), strict=True):
            doc.user_data["spelled"] = "".join(self.letters[index] for index in row)

    def score(self, examples):
        return {"acc": float(np.mean([self.is_correct(eg) for eg in examples]))}

    def is_correct(self, example):
        return example.predicted.user_data["spelled"] == example.reference.user_data["word"]


TEXTS = [("Anna likes Berlin", True, "abc"), ("Paris bores Anna", False, "cab"), ("Anna in Paris", False, "bbb")]


def make_examples(nlp):
    examples = []
    for text, likes, word in TEXTS:
        gold = nlp.make_doc(text)
        labels = {"Anna": "PER", "Berlin": "LOC", "Paris": "LOC"}
        spans = [Span(gold, i, i + 1, label=labels[gold[i].text]) for i in (0, 2)]
        gold.set_ents(spans, default="outside")
        gold.user_data.update({"likes": [(0, 2)] if likes else [], "word": word})
        examples.append(Example(nlp.make_doc(text), gold))
    return examples


NLP = spacy.blank("en")


@pytest.fixture
def pipe():
    fix_random_seed(0)
    parts = {"tok2vec": ENCODER, "heads": heads_config(ents={"kind": "EntityRecognizer"})}
    resolved = spacy.registry.resolve(parts | {"weighting": {"@mtl_weightings": "spacy_mtl.Static.v1"}})
    pairs = Pairs()
    pairs.finder = resolved["heads"]["ents"]
    heads = {"pairs": pairs, "spell": Spell(), **resolved["heads"]}
    pipe = Multitask(
        NLP.vocab, make_shared_encoder_v1(resolved["tok2vec"]), heads=heads, weighting=resolved["weighting"]
    )
    pipe.initialize(lambda: make_examples(NLP))
    return pipe


def test_they_meet_the_protocols(pipe):
    assert all(isinstance(head, Head) for head in pipe.heads.values())
    assert [key for key, head in pipe.heads.items() if isinstance(head, Prepares)] == ["pairs", "spell"]
    assert isinstance(pipe.heads["ents"], FindsSpans)


def test_they_learn_from_gold_and_predict_from_what_was_decoded(pipe, monkeypatch):
    calls = []
    encode = pipe.encoder._func
    monkeypatch.setattr(pipe.encoder, "_func", lambda *args, **kwargs: calls.append(1) or encode(*args, **kwargs))
    pairs = pipe.heads["pairs"]
    pairs.calls.clear()
    optimizer = Adam(0.01)
    for _ in range(80):
        pipe.update(make_examples(NLP), sgd=optimizer)
    assert set(pairs.calls) == {"gold"}
    assert len(calls) == 80
    calls.clear()
    pairs.calls.clear()
    examples = make_examples(NLP)
    docs = [eg.predicted for eg in examples]
    found = pipe.predict(docs)
    assert len(calls) == 1
    assert pairs.calls == ["predicted"]
    assert set(found) == {"pairs", "spell", "ents"}
    pipe.set_annotations(docs, found)
    scores = pipe.score(examples)
    assert scores["ents_f"] == scores["pairs_acc"] == scores["spell_acc"] == 1.0
    assert scores["multitask_exact"] == 1.0


def test_a_doc_without_tokens_or_entities_has_no_pairs(pipe):
    docs = [Doc(NLP.vocab, words=["nothing"])]
    pipe.set_annotations(docs, pipe.predict(docs))
    assert docs[0].user_data["found"] == []
    assert len(docs[0].user_data["spelled"]) == 3
