"""How the component scores: each doc is judged once, and nothing changes for heads that only have `score`."""

from collections import Counter

import pytest
import spacy
from pipelines import ENCODER, heads_config, make_examples, make_nlp, train
from spacy.tokens import Doc
from spacy.training import Example

from spacy_mtl.heads.doc_classifier.doc_classifier import DocClassifier
from spacy_mtl.heads.entity_recognizer import EntityRecognizer
from spacy_mtl.origin import mark
from spacy_mtl.pipeline import scoring
from spacy_mtl.pipeline.scoring import FromScore

MANY = heads_config(
    intent={"kind": "DocClassifier", "label_prefix": "i="},
    slots={"kind": "EntityRecognizer", "condition_on": "intent"},
    mood={"kind": "DocClassifier", "exclusive": False, "label_prefix": "m="},
    sents={"kind": "Tagger", "attr": "sent_start"},
    adversary={"kind": "DomainAdversary", "total_steps": 10},
)


def examples_of_two_corpora(nlp):
    """Docs of two corpora, of which one may not teach the slots, and one doc of none."""
    examples = make_examples(nlp)
    for number, eg in enumerate(examples):
        intent = {f"i={key}": value for key, value in eg.reference.cats.items()}
        eg.reference.cats = intent | {"m=happy": float(number % 2), "m=loud": 1.0}
        words = [token.text for token in eg.reference]
        starts = Doc(nlp.vocab, words=words, sent_starts=[index % 3 == 0 for index in range(len(words))])
        eg.reference.from_array(["SENT_START"], starts.to_array(["SENT_START"]).reshape(-1, 1))
    for eg in examples[:2]:
        mark(eg.reference, "songs")
    mark(examples[2].reference, "people", heads=["intent", "mood", "adversary"])
    return examples


@pytest.fixture
def nlp():
    nlp = make_nlp(MANY, examples=examples_of_two_corpora)
    train(nlp, examples_of_two_corpora(nlp), steps=5)
    return nlp


def test_each_doc_is_judged_once(nlp, monkeypatch):
    judged = Counter()
    for kind in (DocClassifier, EntityRecognizer):
        real = kind.verdicts

        def counted(head, examples, real=real):
            judged.update((head.name, eg.reference.text) for eg in examples)
            return real(head, examples)

        monkeypatch.setattr(kind, "verdicts", counted)
    scores = nlp.evaluate(examples_of_two_corpora(nlp))
    assert scores["songs/slots_f"] is not None
    assert scores["multitask_exact"] is not None
    assert len(judged) == 3 * 4
    assert set(judged.values()) == {1}


def test_judging_once_gives_the_scores_of_judging_for_each(nlp, monkeypatch):
    once = nlp.evaluate(examples_of_two_corpora(nlp))
    kept = nlp.get_pipe("multitask").corpus_scores
    monkeypatch.setattr(scoring, "verdicts_of", FromScore)
    again = nlp.evaluate(examples_of_two_corpora(nlp))
    assert {key: value for key, value in once.items() if key != "speed"} == {
        key: value for key, value in again.items() if key != "speed"
    }
    assert kept == nlp.get_pipe("multitask").corpus_scores
    assert {key.split("/")[0] for key in once if "/" in key} == {"songs", "people"}
    assert not any(key.startswith("people/slots") for key in once)


@pytest.fixture
def two():
    """A pipeline of two components, one head each."""
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    for name, kind in (("intent", "DocClassifier"), ("slots", "EntityRecognizer")):
        nlp.add_pipe(
            "multitask", name=f"{name}_pipe", config={"model": model, "heads": heads_config(**{name: {"kind": kind}})}
        )
    nlp.initialize(lambda: make_examples(nlp))
    return nlp


def test_joint_scores_are_over_both_components(two):
    train(two, make_examples(two), steps=6)
    examples = make_examples(two)
    examples[3].reference.cats = {}
    first = two.evaluate(examples)
    intent, slots = (two.get_pipe(name).heads[name.removesuffix("_pipe")] for name in ("intent_pipe", "slots_pipe"))
    docs = [Example(two(eg.reference.text), eg.reference) for eg in examples]
    right = [{intent.is_correct(eg), slots.is_correct(eg)} - {None} for eg in docs]
    assert first["multitask_score"] == pytest.approx((first["intent_acc"] + first["slots_f"]) / 2)
    assert first["multitask_exact"] == sum(found == {True} for found in right) / 4
    assert {key: value for key, value in two.evaluate(examples).items() if key != "speed"} == {
        key: value for key, value in first.items() if key != "speed"
    }


def test_a_doc_that_stands_in_two_examples_is_judged_in_each(two):
    eg, *_ = make_examples(two)
    wrong = Example(eg.predicted, eg.reference.copy())
    wrong.reference.cats = {"play": 0.0, "ask": 1.0}
    eg.predicted.cats = {"play": 0.9, "ask": 0.1}
    pipe = two.get_pipe("intent_pipe")
    assert pipe.score([eg, wrong])["multitask_exact"] == 0.5
    assert pipe.score([wrong, eg])["multitask_exact"] == 0.5


def test_scoring_leaves_nothing_on_the_docs(two):
    examples = make_examples(two)
    before = [(eg.predicted.to_bytes(), eg.reference.to_bytes()) for eg in examples]
    two.evaluate(examples)
    for name in two.pipe_names:
        two.get_pipe(name).score(examples)
    assert [(eg.predicted.to_bytes(), eg.reference.to_bytes()) for eg in examples] == before
    assert not any(eg.predicted.user_data or eg.reference.user_data for eg in examples)


def test_scores_of_an_earlier_pipeline_do_not_stay_with_the_docs(two):
    examples = make_examples(two)
    first = two.evaluate(examples)
    two.remove_pipe("slots_pipe")
    alone = two.evaluate(examples)
    assert alone["multitask_score"] == alone["intent_acc"] == first["intent_acc"]
