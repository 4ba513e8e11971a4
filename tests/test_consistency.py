"""An entity recognizer that is decoded together with the doc's class (`consistent_with`)."""

from copy import deepcopy

import pytest
import spacy
from pipelines import TEXTS, heads_config, make_examples, make_nlp, train
from spacy.training import Example

CONSISTENT = heads_config(
    intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer", "consistent_with": "intent"}
)
SEEN = {"ask": {"PER": set(), "LOC": set()}, "play": {"GENRE": {"LOC"}, "LOC": {"GENRE"}, "PER": set()}}


def with_heads(**changes):
    """The heads, with other settings for some."""
    heads = deepcopy(CONSISTENT)
    for name, settings in changes.items():
        heads.setdefault(name, {}).update(settings)
    return heads


def lean(nlp, label, *, by):
    """Raise the bias of a type's first tag, or of a class."""
    heads = nlp.get_pipe("multitask").heads
    if label in heads["intent"].labels:
        heads["intent"].model.get_ref("output").get_param("b")[heads["intent"].labels.index(label)] += by
    else:
        scheme = heads["slots"].tag_scheme
        tag = scheme.label.tolist().index(heads["slots"].labels.index(label))
        heads["slots"].model.layers[2].get_param("b")[tag] += by


def seen_by(nlp):
    """Class -> type -> the types that were in one doc with it."""
    return nlp.get_pipe("multitask").heads["slots"].model.attrs["seen_types"].classes


def annotation(doc):
    return max(doc.cats, key=doc.cats.get), {ent.label_ for ent in doc.ents}


def test_what_goes_together_is_known_after_initialisation():
    assert seen_by(make_nlp(CONSISTENT)) == SEEN


def test_the_less_certain_head_gives_way():
    """GENRE is never asked for: where both biases call for it, the stronger one decides."""
    for by, expected in ((3.0, ("ask", False)), (300.0, ("play", True))):
        nlp = make_nlp(CONSISTENT)
        train(nlp, make_examples(nlp))
        assert annotation(nlp(TEXTS[1][0])) == ("ask", {"PER"})
        lean(nlp, "ask", by=100.0)
        lean(nlp, "GENRE", by=by * 4)
        intent, types = annotation(nlp(TEXTS[1][0]))
        assert (intent, "GENRE" in types) == expected


def test_without_it_the_heads_contradict_each_other():
    nlp = make_nlp(with_heads(slots={"consistent_with": None}))
    train(nlp, make_examples(nlp))
    lean(nlp, "ask", by=100.0)
    lean(nlp, "GENRE", by=300.0)
    assert annotation(nlp(TEXTS[1][0])) == ("ask", {"GENRE"})


def test_one_doc_at_a_time_gives_what_a_batch_gives():
    nlp = make_nlp(CONSISTENT)
    lean(nlp, "GENRE", by=2.0)
    texts = [text for text, _, _ in TEXTS] + [""]
    alone, together = [nlp(text) for text in texts], list(nlp.pipe(texts, batch_size=8))
    for one, other in zip(alone, together, strict=True):
        assert one.cats == pytest.approx(other.cats, abs=1e-5)
        assert [(ent.start, ent.end, ent.label_) for ent in one.ents] == [
            (ent.start, ent.end, ent.label_) for ent in other.ents
        ]


def test_types_that_never_go_together_are_not_given_together():
    """GENRE goes with LOC, PER with neither: of "play", a person and a genre one has to go."""
    text = "play some jazz in Berlin of Anna Schmidt"
    found = {}
    for name in (None, "intent"):
        nlp = make_nlp(with_heads(slots={"consistent_with": name}))
        train(nlp, make_examples(nlp))
        lean(nlp, "play", by=100.0)
        lean(nlp, "PER", by=0.5)
        found[name] = annotation(nlp(text))
    assert found[None] == ("play", {"GENRE", "LOC", "PER"})
    assert found["intent"] == ("play", {"GENRE", "LOC"})


def test_what_was_seen_is_saved(tmp_path):
    nlp = make_nlp(CONSISTENT)
    nlp.to_disk(tmp_path)
    assert seen_by(spacy.load(tmp_path)) == SEEN


def test_training_adds_to_what_was_seen():
    """GENRE comes with a question only later."""
    nlp = make_nlp(CONSISTENT)
    reference = nlp.make_doc("is this jazz")
    reference.cats = {"play": 0.0, "ask": 1.0}
    reference.set_ents([reference.char_span(8, 12, label="GENRE")], default="outside")
    nlp.update([Example(nlp.make_doc(reference.text), reference)])
    assert seen_by(nlp)["ask"] == {"PER": set(), "LOC": set(), "GENRE": set()}


def test_docs_without_entities_tell_nothing_and_those_without_class_tell_of_every_class():
    nlp = make_nlp(CONSISTENT)
    seen_by(nlp).clear()
    nlp.update(make_examples(nlp, ents=False))
    assert seen_by(nlp) == {}
    nlp.update(make_examples(nlp, cats=False))
    assert seen_by(nlp) == {None: {"GENRE": {"LOC"}, "LOC": {"GENRE"}, "PER": set()}}


def test_confidence_is_of_what_is_annotated():
    nlp = make_nlp(CONSISTENT)
    lean(nlp, "ask", by=100.0)
    lean(nlp, "GENRE", by=12.0)
    docs = [nlp.make_doc(text) for text, _, _ in TEXTS]
    pipe = nlp.get_pipe("multitask")
    confidences = pipe.confidences(docs)
    assert ((confidences["slots"] > 0) & (confidences["slots"] <= 1)).all()
    classes = pipe.predict(docs)["intent"].argmax(axis=1)
    assert {pipe.heads["intent"].labels[index] for index in classes} == {"ask"}


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (with_heads(slots={"consistent_with": "topic"}), "head 'slots': consistent_with names 'topic'"),
        (with_heads(slots={"consistent_with": "slots"}), "expected a doc classifier with exclusive = true"),
        (with_heads(intent={"exclusive": False}), r"exclusive = true; there are \[\]"),
        (
            with_heads(other=CONSISTENT["slots"] | {"spans_key": "other"}),
            "head 'other': consistent_with names 'intent', as that of head 'slots'",
        ),
    ],
)
def test_what_it_cannot_be_consistent_with_is_refused(heads, message):
    with pytest.raises(ValueError, match=message):
        make_nlp(heads)
