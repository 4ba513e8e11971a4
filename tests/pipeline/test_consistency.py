"""An entity recognizer that is decoded together with the doc's class (`consistent_with`)."""

from copy import deepcopy

import numpy as np
import pytest
import spacy
from pipelines import TEXTS, heads_config, make_examples, make_nlp, train
from spacy.training import Example

CONSISTENT = heads_config(
    intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer", "consistent_with": "intent"}
)
SEEN = {("ask", ("PER",)), ("ask", ("LOC",)), ("play", ("GENRE", "LOC")), ("play", ("PER",))}


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
    """The classes that were seen, with the types of their docs."""
    return nlp.get_pipe("multitask").heads["slots"].model.attrs["seen_types"].kinds


def make_consistent(**changes):
    """A pipeline to which training has shown so many kinds of docs that what it has not shown costs something.

    Questions have PER and LOC, "play" has GENRE, LOC and PER; the latter never with one of the others.
    """
    nlp = make_nlp(with_heads(**changes))
    seen_types = nlp.get_pipe("multitask").heads["slots"].model.attrs["seen_types"]
    for index in range(500):
        for name, types in (("ask", ["PER", "LOC"]), ("play", ["GENRE", "LOC"]), ("play", ["PER"])):
            seen_types.see(name, [*types, f"other{index}"])
    return nlp


def cost_of(nlp, name, *labels):
    """What docs of the class with such entities cost."""
    heads = nlp.get_pipe("multitask").heads
    costs = heads["slots"].model.attrs["seen_types"].costs(heads["intent"].labels, heads["slots"].labels)
    counts = np.array([[labels.count(label) for label in heads["slots"].labels]])
    return costs.of_counts(counts, heads["intent"].labels.index(name))[0]


def annotation(doc):
    return max(doc.cats, key=doc.cats.get), {ent.label_ for ent in doc.ents}


def test_what_goes_together_is_known_after_initialisation():
    assert seen_by(make_nlp(CONSISTENT)) == SEEN


def test_few_docs_forbid_nothing():
    nlp = make_nlp(CONSISTENT)
    assert cost_of(nlp, "ask", "GENRE") < 0.5
    assert cost_of(make_consistent(), "ask", "GENRE") > 3


def first_lead(nlp, label, *, step=0.25):
    """How much a type's bias must be raised to be found in a question."""
    for place in range(200):
        intent, types = annotation(nlp(TEXTS[1][0]))
        assert intent == "ask"
        if label in types:
            return place * step
        lean(nlp, label, by=step)
    raise AssertionError("it was not found")


def test_a_type_needs_a_lead_of_what_it_costs():
    leads = {}
    for name in (None, "intent"):
        nlp = make_consistent(slots={"consistent_with": name})
        train(nlp, make_examples(nlp))
        lean(nlp, "ask", by=100.0)
        assert annotation(nlp(TEXTS[1][0])) == ("ask", {"PER"})
        leads[name] = first_lead(nlp, "GENRE")
    assert leads["intent"] - leads[None] == pytest.approx(cost_of(nlp, "ask", "GENRE"), abs=0.25)


def test_the_less_certain_head_gives_way():
    """GENRE is hardly ever asked for: where both biases call for it, the stronger one decides."""
    nlp = make_consistent()
    train(nlp, make_examples(nlp))
    nlp.get_pipe("multitask").heads["slots"].model.attrs["seen_types"].see("play", ["GENRE", "GENRE"])
    lean(nlp, "GENRE", by=1000.0)
    text = TEXTS[3][0]
    heads = nlp.get_pipe("multitask").heads
    (logits,) = nlp.get_pipe("multitask").model.predict([nlp.make_doc(text)])["intent"]
    play, ask = (logits[heads["intent"].labels.index(name)] for name in ("play", "ask"))
    # a question by a nat, if GENRE cost nothing
    lean(nlp, "ask", by=float(play - ask) + 1.0)
    intent, types = annotation(nlp(text))
    assert intent == "play"
    assert "GENRE" in types
    lean(nlp, "ask", by=100.0)
    assert annotation(nlp(text)) == ("ask", types)


def test_one_doc_at_a_time_gives_what_a_batch_gives():
    nlp = make_consistent()
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
        nlp = make_consistent(slots={"consistent_with": name})
        train(nlp, make_examples(nlp))
        lean(nlp, "play", by=100.0)
        lean(nlp, "PER", by=0.5)
        found[name] = annotation(nlp(text))
    assert found[None] == ("play", {"GENRE", "LOC", "PER"})
    assert found["intent"] == ("play", {"GENRE", "LOC"})


def test_what_was_seen_is_saved(tmp_path):
    nlp = make_consistent()
    lean(nlp, "GENRE", by=3.0)
    nlp.to_disk(tmp_path)
    other = spacy.load(tmp_path)
    assert seen_by(other) == seen_by(nlp)
    assert cost_of(other, "ask", "GENRE") == cost_of(nlp, "ask", "GENRE")
    assert [annotation(other(text)) for text, *_ in TEXTS] == [annotation(nlp(text)) for text, *_ in TEXTS]


def test_training_adds_to_what_was_seen_but_not_twice():
    """GENRE comes with a question only later."""
    nlp = make_nlp(CONSISTENT)
    reference = nlp.make_doc("is this jazz")
    reference.cats = {"play": 0.0, "ask": 1.0}
    reference.set_ents([reference.char_span(8, 12, label="GENRE")], default="outside")
    for _ in range(3):
        nlp.update([*make_examples(nlp), Example(nlp.make_doc(reference.text), reference)])
    assert seen_by(nlp) == {*SEEN, ("ask", ("GENRE",))}


def test_another_initialisation_counts_nothing_twice():
    nlp = make_consistent()
    before = cost_of(nlp, "ask", "GENRE")
    nlp.initialize(lambda: make_examples(nlp))
    assert cost_of(nlp, "ask", "GENRE") == before


def test_docs_without_entities_tell_nothing_and_those_without_class_nothing_of_classes_with_docs():
    nlp = make_nlp(CONSISTENT)
    seen_by(nlp).clear()
    nlp.update(make_examples(nlp, ents=False))
    assert seen_by(nlp) == set()
    nlp = make_consistent()
    before = cost_of(nlp, "ask", "GENRE"), cost_of(nlp, "play", "PER", "GENRE")
    assert min(before) > 1
    reference = nlp.make_doc("Anna likes jazz")
    reference.set_ents([reference.char_span(0, 4, "PER"), reference.char_span(11, 15, "GENRE")], default="outside")
    nlp.update([Example(nlp.make_doc(reference.text), reference)])
    assert (None, ("GENRE", "PER")) in seen_by(nlp)
    assert (cost_of(nlp, "ask", "GENRE"), cost_of(nlp, "play", "PER", "GENRE")) == before


def test_new_labels_cost_nothing_until_training_shows_where_they_belong():
    nlp = make_consistent()
    pipe = nlp.get_pipe("multitask")
    before = cost_of(nlp, "ask", "GENRE")
    pipe.add_label("DATE", head="slots")
    pipe.add_label("stop", head="intent")
    assert cost_of(nlp, "ask", "GENRE") == before
    assert cost_of(nlp, "ask", "DATE", "DATE", "PER") == cost_of(nlp, "stop", "GENRE") == 0
    lean(nlp, "GENRE", by=3.0)
    assert "stop" in nlp(TEXTS[0][0]).cats


def test_two_heads_each_with_its_own_classes():
    """Each learns of its own classifier, and both are decoded."""
    nlp = make_nlp(
        with_heads(
            intent={"label_prefix": "intent="},
            mood={"@mtl_heads": "spacy_mtl.DocClassifier.v1", "label_prefix": "mood="},
            other=CONSISTENT["slots"] | {"spans_key": "other", "consistent_with": "mood"},
        ),
        examples=lambda nlp: with_mood(make_examples(nlp)),
    )
    heads = nlp.get_pipe("multitask").heads
    assert heads["slots"].model.attrs["seen_types"].kinds == SEEN
    assert heads["other"].model.attrs["seen_types"].kinds == {("good", types) for _, types in SEEN}
    doc = nlp(TEXTS[0][0])
    assert set(doc.cats) == {"intent=play", "intent=ask", "mood=good", "mood=bad"}
    assert "other" in doc.spans


def with_mood(examples):
    """All in a good one."""
    for eg in examples:
        intents = {f"intent={name}": value for name, value in eg.reference.cats.items()}
        eg.reference.cats = intents | {"mood=good": 1.0, "mood=bad": 0.0}
    return examples


def test_the_first_evaluation_says_what_gold_costs(caplog):
    nlp = make_consistent()
    reference = nlp.make_doc("is this jazz")
    reference.cats = {"play": 0.0, "ask": 1.0}
    reference.set_ents([reference.char_span(8, 12, label="GENRE")], default="outside")
    cost = cost_of(nlp, "ask", "GENRE")
    # `spacy train` shows warnings, but no more than that
    with caplog.at_level("WARNING", logger="spacy"):
        for _ in range(2):
            nlp.evaluate([*make_examples(nlp), Example(nlp.make_doc(reference.text), reference)])
    said = [record.getMessage() for record in caplog.records if "consistent_with" in record.getMessage()]
    assert len(said) == 1
    assert "head 'slots', consistent_with = 'intent'" in said[0]
    assert f"costs {cost:.1f} nats on average, {cost:.1f} at most, in 1 of 5 docs" in said[0]


def test_confidence_is_of_what_is_annotated():
    nlp = make_consistent()
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


def test_a_sourced_component_keeps_what_was_seen_and_adds_to_it():
    """A sourced pipe is trained on without being initialised."""
    first = make_consistent()
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", source=first)
    assert seen_by(nlp) == seen_by(first)
    before = cost_of(nlp, "ask", "GENRE")
    assert before == cost_of(first, "ask", "GENRE")
    reference = nlp.make_doc("is this jazz")
    reference.cats = {"play": 0.0, "ask": 1.0}
    reference.set_ents([reference.char_span(8, 12, label="GENRE")], default="outside")
    nlp.update([Example(nlp.make_doc(reference.text), reference)], sgd=nlp.resume_training())
    assert cost_of(nlp, "ask", "GENRE") == 0
    nlp.rehearse(make_examples(nlp))
