"""Tokens that `doc.set_ents(blocked=…)` keeps out of entities: no head predicts one there, as in spaCy's ner."""

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, TEXTS, heads_config, make_examples, make_nlp, train
from spacy.tokens import Doc, Span
from spacy.training import Example
from strict_arrays import strict_device  # noqa: F401  (a fixture)

LONG = "play some jazz in Berlin"


def make(**settings):
    nlp = make_nlp(heads_config(slots={"kind": "EntityRecognizer", **settings}))
    train(nlp, make_examples(nlp))
    return nlp


def blocked(nlp, text, *tokens):
    doc = nlp.make_doc(text) if isinstance(text, str) else Doc(nlp.vocab, words=text)
    doc.set_ents([], blocked=[doc[i : i + 1] for i in tokens], default="unmodified")
    return doc


@pytest.fixture(scope="module", params=["BIO", "BILUO"])
def nlp(request):
    return make(scheme=request.param)


def test_no_entity_is_predicted_on_blocked_tokens_and_they_stay_blocked(nlp):
    doc = nlp(nlp(blocked(nlp, LONG, 0, 4)))
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("jazz", "GENRE")]
    assert [(token.ent_iob_, token.ent_type_) for token in doc] == [
        ("B", ""),
        ("O", ""),
        ("B", "GENRE"),
        ("O", ""),
        ("B", ""),
    ]


def test_the_same_tokens_are_blocked_as_for_spacys_ner(nlp):
    theirs = spacy.blank("en")
    theirs.add_pipe("ner")
    theirs.initialize(lambda: make_examples(theirs, cats=False))
    train(theirs, make_examples(theirs, cats=False), steps=60)
    for places in [(), (0,), (4,), (2, 4), (0, 1, 2, 3, 4)]:
        mine, other = nlp(blocked(nlp, LONG, *places)), theirs(blocked(theirs, LONG, *places))
        assert [(t.ent_iob_, t.ent_type_) for t in mine] == [(t.ent_iob_, t.ent_type_) for t in other]


def test_other_docs_of_the_batch_are_as_before(nlp):
    docs = [nlp.make_doc(LONG), blocked(nlp, LONG, 2), nlp.make_doc(LONG)]
    found = [[ent.text for ent in doc.ents] for doc in nlp.pipe(docs)]
    assert found == [["jazz", "Berlin"], ["Berlin"], ["jazz", "Berlin"]]


@pytest.mark.parametrize("place", [2, 3])
def test_no_entity_goes_over_a_blocked_token(nlp, place):
    doc = nlp(blocked(nlp, "who is Anna Schmidt", place))
    assert all(place < ent.start or place >= ent.end for ent in doc.ents)


def test_no_entity_goes_over_a_blocked_white_space(nlp):
    words = ["who", "is", "Anna", "\n", "Schmidt"]
    assert [ent.text for ent in nlp(Doc(nlp.vocab, words=words)).ents] == ["Anna \n Schmidt"]
    doc = nlp(blocked(nlp, words, 3))
    assert doc[3].ent_iob_ == "B"
    assert not doc[3].ent_type_
    assert all(ent.end <= 3 or ent.start > 3 for ent in doc.ents)


def test_entities_that_are_set_stay_beside_blocked_tokens(nlp):
    doc = nlp.make_doc(LONG)
    doc.set_ents([Span(doc, 0, 2, label="SET")], blocked=[doc[4:5]], default="unmodified")
    assert [(ent.text, ent.label_) for ent in nlp(doc).ents] == [("play some", "SET"), ("jazz", "GENRE")]
    assert doc[4].ent_iob_ == "B"
    assert not doc[4].ent_type_


def test_a_loss_on_gold_entities_is_finite_where_the_doc_is_blocked(nlp):
    reference = make_examples(nlp)[0].reference
    loss = nlp.update([Example(blocked(nlp, LONG, 2, 4), reference)], sgd=False, losses={})["multitask/slots"]
    plain = nlp.update([Example(nlp.make_doc(LONG), reference)], sgd=False, losses={})["multitask/slots"]
    assert loss == plain


def test_the_confidence_is_that_among_the_sequences_that_are_left(nlp):
    pipe = nlp.get_pipe("multitask")
    free, some, whole = pipe.confidences([nlp.make_doc(LONG), blocked(nlp, LONG, 2, 4), blocked(nlp, LONG, *range(5))])[
        "slots"
    ]
    assert whole == pytest.approx(1.0)
    assert 0 < free <= 1
    assert 0 < some <= 1


def test_spans_heads_respect_blocked_tokens():
    nlp = make(spans_key="sc")
    doc = nlp(blocked(nlp, LONG, 4))
    assert [span.text for span in doc.spans["sc"]] == ["jazz"]
    assert np.isfinite(doc.spans["sc"].attrs["scores"]).all()
    assert doc[4].ent_iob_ == "B"


def test_class_and_entities_decoded_together_respect_blocked_tokens():
    heads = heads_config(
        intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer", "consistent_with": "intent"}
    )
    nlp = make_nlp(heads)
    train(nlp, make_examples(nlp))
    nlp.get_pipe("multitask").heads["intent"].model.get_ref("output").get_param("b")[0] += 100.0
    docs = [blocked(nlp, text, len(nlp.make_doc(text)) - 1) for text, _, _ in TEXTS]
    for doc in nlp.pipe(docs):
        assert all(ent.end < len(doc) for ent in doc.ents)


def test_tokens_are_blocked_on_a_device(strict_device):  # noqa: F811
    nlp = spacy.blank("en")
    encoder = {**ENCODER, "@architectures": "spacy_mtl.HashEmbedCNN.v1"}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    nlp.add_pipe("multitask", config={"model": model, "heads": heads_config(slots={"kind": "EntityRecognizer"})})
    nlp.initialize(lambda: make_examples(nlp))
    doc = nlp(blocked(nlp, LONG, *range(5)))
    assert not doc.ents
    assert all(token.ent_iob_ == "B" for token in doc)
