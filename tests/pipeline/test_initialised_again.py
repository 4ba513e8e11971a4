"""A pipeline that is initialised again, with other gold: the labels that it had stay in their places."""

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

import spacy_mtl
from spacy_mtl.relation import set_relations

WORDS = ["call", "Ada", "now"]
HEADS = {
    "class": {"@mtl_heads": "spacy_mtl.DocClassifier.v1"},
    "ents": {"@mtl_heads": "spacy_mtl.EntityRecognizer.v1"},
    "tag": {"@mtl_heads": "spacy_mtl.Tagger.v1", "attr": "tag"},
    "morph": {"@mtl_heads": "spacy_mtl.Tagger.v1", "attr": "morph"},
    "lemma": {"@mtl_heads": "spacy_mtl.Lemmatizer.v1"},
    "parser": {"@mtl_heads": "spacy_mtl.DependencyParser.v1"},
    "spans": {"@mtl_heads": "spacy_mtl.SpanClassifier.v1"},
    "relations": {"@mtl_heads": "spacy_mtl.RelationExtractor.v1", "depends_on": "ents"},
}


def gold(nlp, label):
    doc = Doc(
        nlp.vocab,
        words=WORDS,
        tags=[label, "NNP", "RB"],
        morphs=[f"Number={label}", "", ""],
        lemmas=["call", "Ada", f"now{label.lower()}"],
        heads=[0, 0, 0],
        deps=["ROOT", f"dep{label}", "advmod"],
    )
    doc.cats = {label: 1.0, "none": 0.0}
    doc.ents = [Span(doc, 1, 2, label=label), Span(doc, 2, 3, label="TIME")]
    doc.spans["sc"] = [Span(doc, 0, 2, label=label)]
    set_relations(doc, [spacy_mtl.Relation(*doc.ents, f"rel{label}", 1.0)], "relations")
    return doc


def examples(nlp, labels):
    # three of each, since rarer edit trees are left out
    return [Example(nlp.make_doc(" ".join(WORDS)), gold(nlp, label)) for label in labels for _ in range(3)]


@pytest.mark.parametrize("labels", ["AX", "ABCDEFGH"], ids=["fewer", "more"])
@pytest.mark.parametrize("head", HEADS)
def test_labels_stay_and_others_are_added(head, labels):
    heads = {key: HEADS[key] for key in {"relations": ["ents", "relations"]}.get(head, [head])}
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe("multitask", config={"heads": heads})
    nlp.initialize(lambda: examples(nlp, "ABCDEF"))
    before = pipe.label_data[head]
    optimizer = nlp.initialize(lambda: examples(nlp, labels))
    after = pipe.label_data[head]
    n_new = len(set(labels) - set("ABCDEF"))
    assert after[: len(before)] == before
    assert len(after) == len(before) + n_new
    for _ in range(30):
        losses = nlp.update(examples(nlp, labels[-1]), sgd=optimizer)
    assert nlp.evaluate(examples(nlp, labels[-1]))["multitask_score"] == 1.0, losses
