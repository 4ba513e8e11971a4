"""Confidence and prediction sets in the answers of a server: those of the pass that annotates."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import spacy
from every_form import TEXTS, every_form, make_gold
from pipelines import ENCODER, JOINT, make_examples, make_nlp, train
from served import ask, post
from spacy.util import load_model_from_config

from spacy_mtl.calibration.calibrate import calibrate
from spacy_mtl.calibration.calibration_settings import CalibrationSettings
from spacy_mtl.serving.limits import Limits
from spacy_mtl.serving.served_pipeline import ServedPipeline, TextToRead

WORDS = ["play some jazz in Berlin", "who is Anna Schmidt", "", "jazz jazz jazz Anna"]


@pytest.fixture(scope="module")
def nlp():
    nlp = make_nlp(JOINT, tok2vec=ENCODER | {"@architectures": "spacy_mtl.HashEmbedCNN.v1"})
    train(nlp, make_examples(nlp), steps=12)
    calibrate(nlp, "multitask", make_examples(nlp) * 8, CalibrationSettings(coverage=0.7))
    return nlp


def outcomes_of(found):
    """The outcomes of a set in an answer as a doc has them."""
    return [
        one["label"] if "label" in one else tuple((span["start"], span["end"], span["label"]) for span in one["spans"])
        for one in found["outcomes"]
    ]


def test_sets_are_those_of_docs(nlp):
    served = [ServedPipeline(nlp, "joint")]
    docs = post(served, "/api/parse", {"texts": WORDS, "sets": True}).json()["docs"]
    for answer, doc in zip(docs, nlp.pipe(WORDS), strict=True):
        assert doc._.mtl_sets.keys() == {"intent", "slots"}
        for head, expected in doc._.mtl_sets.items():
            found = answer["heads"][head]["set"]
            assert outcomes_of(found) == list(expected.outcomes)
            assert [one["probability"] for one in found["outcomes"]] == pytest.approx(expected.probabilities, abs=1e-4)
            assert (found["answered"], found["complete"]) == (expected.answered, expected.complete)
            assert found["coverage"] == 0.7


def test_sets_and_confidence_are_given_to_the_texts_that_want_them(nlp):
    served = ServedPipeline(nlp, "joint")
    wanted = [TextToRead("play jazz"), TextToRead("play jazz", with_sets=True), TextToRead("play jazz", True)]
    plain, sets, sure = (json.loads(one)["heads"]["slots"].keys() for one in served.read(wanted))
    assert plain == {"form", "spans"}
    assert sets == {"form", "spans", "set"}
    assert sure == {"form", "spans", "confidence"}
    assert served.describe()["heads"]["intent"]["coverage"] == 0.7
    assert nlp("play jazz")._.mtl_sets.keys() == {"intent", "slots"}


def test_sets_can_be_switched_off_for_docs_and_still_be_asked_for(nlp, tmp_path):
    quiet = load_model_from_config(nlp.config, auto_fill=True).from_bytes(nlp.to_bytes())
    quiet.get_pipe("multitask").keep_sets = False
    quiet.to_disk(tmp_path)
    quiet = spacy.load(tmp_path)
    assert quiet("play jazz")._.mtl_sets == {}
    answers = [
        post([ServedPipeline(one, "joint")], "/api/parse", {"texts": WORDS, "sets": True}).json()
        for one in (quiet, nlp)
    ]
    assert answers[0] == answers[1]


def test_confidence_comes_from_the_pass_that_annotates():
    """A second pass over the annotated doc finds sentences, which the parser then takes as given."""
    nlp = every_form(steps=15)
    pipe = nlp.get_pipe("multitask")
    served = ServedPipeline(nlp, "all")
    texts = [f"{one} {TEXTS[0]}" for one in TEXTS]
    answers = [json.loads(one)["heads"] for one in served.read([TextToRead(text, True) for text in texts])]
    for text, answer in zip(texts, answers, strict=True):
        expected = pipe.confidences([nlp.make_doc(text)])
        found = {head: own["confidence"] for head, own in answer.items() if "confidence" in own}
        assert found == pytest.approx({head: values[0] for head, values in expected.items()}, abs=1e-4)


def test_four_threads_ask_one_server(nlp):
    """The pipeline belongs to the thread of the server; sets are asked for by some of the clients alone."""
    expected = {text: nlp(text) for text in WORDS}

    async def talk(client):
        async def send(number):
            for _ in range(10):
                wanted = {"texts": WORDS, "sets": number % 2 == 0, "confidence": number < 2}
                for text, doc in zip(WORDS, (await client.post("/api/parse", json=wanted)).json()["docs"], strict=True):
                    assert doc["heads"]["intent"]["scores"] == pytest.approx(expected[text].cats, abs=1e-4)
                    for head in ("intent", "slots"):
                        assert ("set" in doc["heads"][head]) == wanted["sets"]
                        assert ("confidence" in doc["heads"][head]) == wanted["confidence"]

        await asyncio.gather(*map(send, range(4)))

    ask([ServedPipeline(nlp, "joint")], talk, limits=Limits(batch_size=16))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: nlp(text)._.mtl_sets.keys(), WORDS * 4))
    assert found == [{"intent", "slots"}] * 16


@pytest.mark.parametrize("listener", [False, True])
def test_a_transformer_is_served(tmp_path, listener):
    pytest.importorskip("transformers")
    from tiny_transformers import transformer_pipeline, write_bert

    nlp = transformer_pipeline(write_bert(tmp_path / "bert"), listener=listener)
    served = ServedPipeline(nlp, "bert")
    docs = post([served], "/api/parse", {"texts": WORDS, "confidence": True}).json()["docs"]
    for answer, text in zip(docs, WORDS, strict=True):
        doc = nlp(text)
        for name, own in served.heads.items():
            found, expected = answer["heads"][name], own.head.prediction(doc).as_dict()
            assert 0 <= found.pop("confidence") <= 1
            assert found.pop("scores", {}) == pytest.approx(expected.pop("scores", {}), abs=1e-4)
            assert found == expected


def test_gold_of_every_form_can_be_calibrated_and_served():
    nlp = every_form(steps=3)
    calibrate(nlp, "multitask", make_gold(nlp) * 10, CalibrationSettings(coverage=0.7))
    (found,) = ServedPipeline(nlp, "all").read([TextToRead(TEXTS[0], True, True)])
    heads = json.loads(found)["heads"]
    assert "set" in heads["intent"]
    assert "set" not in heads["mood"]
