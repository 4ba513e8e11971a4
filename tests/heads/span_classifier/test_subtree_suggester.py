"""Subtrees as spans: which are suggested, and a head that classifies them."""

import pytest
import spacy
from pipelines import heads_config, make_nlp, train
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import registry

from spacy_mtl.heads.span_classifier.subtree_suggester import make_subtree_suggester_v1

WORDS = "She saw old dogs yesterday".split()
TREE = {"heads": [1, 1, 3, 1, 1], "deps": ["nsubj", "ROOT", "amod", "dobj", "advmod"]}


def places_of(suggested):
    return list(map(tuple, suggested.dataXd.tolist())), suggested.lengths.tolist()


def test_each_subtree_is_suggested_once():
    vocab = spacy.blank("en").vocab
    crossing = Doc(vocab, ["a", "b", "c", "d"], heads=[2, 3, 2, 2], deps=["x", "x", "ROOT", "x"])
    docs = [Doc(vocab, WORDS, **TREE), Doc(vocab), crossing]
    whole = [(0, 1), (0, 5), (2, 3), (2, 4), (4, 5), (0, 1), (0, 4), (1, 2), (1, 4)]
    assert places_of(make_subtree_suggester_v1()(docs)) == (whole, [5, 0, 4])
    short = [place for place in whole if place[1] - place[0] <= 2]
    assert places_of(registry.get("misc", "spacy_mtl.subtree_suggester.v1")(2)(docs)) == (short, [4, 0, 2])


def test_a_head_classifies_subtrees():
    def examples(nlp):
        gold = Doc(nlp.vocab, WORDS)
        gold.spans["sc"] = [Span(gold, 2, 4, label="THING"), Span(gold, 0, 1, label="WHO")]
        return [Example(Doc(nlp.vocab, WORDS, **TREE), gold)]

    suggester = {"@misc": "spacy_mtl.subtree_suggester.v1"}
    nlp = make_nlp(heads_config(spans={"kind": "SpanClassifier", "suggester": suggester}), examples=examples)
    train(nlp, examples(nlp))
    doc = nlp.get_pipe("multitask")(examples(nlp)[0].predicted)
    assert {(span.text, span.label_) for span in doc.spans["sc"]} == {("old dogs", "THING"), ("She", "WHO")}


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="max_size is 0; it must be at least 1"):
        make_subtree_suggester_v1(0)
    with pytest.raises(ValueError, match="'She saw ' is not parsed; run a parser before, in training too"):
        make_subtree_suggester_v1()([Doc(spacy.blank("en").vocab, ["She", "saw"])])
