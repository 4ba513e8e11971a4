"""Texts as JSON: forms, names of heads, and memory that stays flat."""

import json

import pytest
import spacy
from every_form import TEXTS, every_form
from pipelines import JOINT, make_examples

from spacy_mtl.serving import served_pipeline
from spacy_mtl.serving.served_pipeline import ServedPipeline, TextToExplain, TextToRead


@pytest.fixture(scope="module")
def nlp():
    return every_form(steps=2)


def read(served, *texts):
    return [json.loads(answer) for answer in served.read([TextToRead(text) for text in texts])]


def test_each_head_has_its_form(nlp):
    (found,) = read(ServedPipeline(nlp, "all"), TEXTS[0])
    assert {name: head["form"] for name, head in found["heads"].items()} == {
        "intent": "classes",
        "entities": "spans",
        "spans": "spans",
        "tag": "tokens",
        "lemma": "tokens",
        "tree": "tree",
        "relations": "pairs",
        "mood": "numbers",
    }


def test_later_words_are_forgotten_and_answers_stay_the_same(nlp, monkeypatch):
    served = ServedPipeline(nlp, "all")
    expected = read(served, *TEXTS, "an unheardof word")
    monkeypatch.setattr(served_pipeline, "KEPT_CHARACTERS", 0)
    size, strings = len(nlp.vocab), len(nlp.vocab.strings)
    for number in range(5):
        assert read(served, *TEXTS, "an unheardof word") == expected
        read(served, f"Neologism{number} says word{number} of Paul{number}")
    assert (len(nlp.vocab.strings), nlp.vocab.in_memory_zone) == (strings, False)
    assert f"Neologism{number}" not in nlp.vocab
    assert len(nlp.vocab) - size <= 5 * 10  # spaCy counts forgotten lexemes


def test_a_text_that_fails_does_so_alone(nlp):
    served = ServedPipeline(nlp, "all")
    good, bad, other = served.read([TextToRead("play"), TextToRead("x" * (nlp.max_length + 1)), TextToRead("some")])
    assert json.loads(good)["text"] == "play"
    assert isinstance(bad, ValueError)
    assert json.loads(other)["text"] == "some"


def test_heads_of_several_components():
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"heads": JOINT})
    nlp.add_pipe("multitask", name="second", config={"heads": {"intent": JOINT["intent"]}})
    nlp.initialize(lambda: make_examples(nlp))
    served = ServedPipeline(nlp, "both")
    assert list(served.heads) == ["multitask/intent", "slots", "second/intent"]
    (found,) = [json.loads(one) for one in served.read([TextToRead("play", with_confidence=True)])]
    assert list(found["heads"]) == list(served.heads)
    assert all(0 <= head["confidence"] <= 1 for head in found["heads"].values())
    explained = served.explain(TextToExplain("play", "second/intent", None, "gradient_x_input"))
    assert explained["explanation"]["head"] == "second/intent"


def test_a_pipeline_without_heads_is_refused():
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    with pytest.raises(ValueError, match=r"no component with heads .*; its components are \['sentencizer'\]"):
        ServedPipeline(nlp, "plain")
