"""Calibration of small pipelines: what it changes, what it keeps, and where it goes with the heads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import spacy
from pipelines import TEXTS, heads_config, make_nlp
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_mtl.calibration.calibrate import calibrate
from spacy_mtl.calibration.calibration_settings import CalibrationSettings
from spacy_mtl.calibration.selective import thresholds_of
from spacy_mtl.crf.k_best import likely_paths
from spacy_mtl.crf.linear_chain import constrain
from spacy_mtl.layers.calibrated import calibrated_sigmoid, log_odds_of
from spacy_mtl.protocols.head_calibration import ATTR, calibration_of, set_rule_of

HEADS = heads_config(
    intent={"kind": "DocClassifier", "label_prefix": "intent="},
    topics={"kind": "DocClassifier", "exclusive": False, "threshold": 0.3, "label_prefix": "topic="},
    slots={"kind": "EntityRecognizer", "condition_on": "intent"},
    pos={"kind": "Tagger", "attr": "pos"},
)
COVERED = CalibrationSettings(coverage=0.8)


def noisy_docs(nlp, n=80, *, seed=0):
    """Gold docs of a few words, of which a part is labelled at random."""
    rng = np.random.default_rng(seed)
    examples = []
    for _ in range(n):
        text, cats, spans = TEXTS[int(rng.integers(len(TEXTS)))]
        doc = nlp.make_doc(text)
        classes = [float(value) for value in cats.values()]
        if rng.random() < 0.25:
            classes = classes[::-1]
        doc.cats = {f"intent={label}": value for label, value in zip(cats, classes, strict=True)} | {
            "topic=music": float("play" in text),
            "topic=place": float(rng.random() < 0.4),
        }
        ents = [doc.char_span(*span) for span in spans if rng.random() < 0.8]
        doc.set_ents(ents, default="outside")
        for token in doc:
            token.pos_ = "VERB" if rng.random() < 0.1 else "PROPN" if token.is_title else "NOUN"
        examples.append(Example(nlp.make_doc(text), doc))
    return examples


def train_on(nlp, examples, steps=25):
    optimizer = nlp.resume_training()
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer)


def trained(*, listener=False, heads=HEADS):
    nlp = make_nlp(heads, listener=listener, examples=noisy_docs)
    train_on(nlp, noisy_docs(nlp))
    return nlp


@pytest.fixture(scope="module")
def raw():
    return trained()


@pytest.fixture(scope="module")
def calibrated(raw):
    nlp = spacy.util.load_model_from_config(raw.config, auto_fill=True)
    nlp.from_bytes(raw.to_bytes())
    calibrate(nlp, "multitask", noisy_docs(nlp, seed=1), COVERED)
    nlp.get_pipe("multitask").keep_scores = True
    return nlp


def everything(doc):
    """All that a pipeline says of a doc: annotation, probabilities, sets and scores."""
    ents = [(ent.start, ent.end, ent.label_, round(ent._.get("score"), 6)) for ent in doc.ents]
    tokens = [(token.pos_, {key: round(value, 6) for key, value in token._.scores.items()}) for token in doc]
    sets = {
        key: (one.outcomes, [round(value, 5) for value in one.probabilities], one.answered)
        for key, one in doc._.mtl_sets.items()
    }
    return ents, tokens, sets, {key: round(value, 6) for key, value in doc.cats.items()}


def decisions(nlp, doc):
    cats = {key: value for key, value in doc.cats.items() if not key.startswith("topic=")}
    topics = {key for key, value in doc.cats.items() if key.startswith("topic=") and value >= 0.3}
    ents = [(ent.start, ent.end, ent.label_) for ent in doc.ents]
    return max(cats, key=cats.__getitem__), topics, ents, [token.pos_ for token in doc]


def texts(n=12):
    return [f"{TEXTS[i % 4][0]} {TEXTS[(i + 1) % 4][0]}" for i in range(n)] + ["play", "in Berlin"]


def test_annotation_stays_and_probabilities_change(raw, calibrated):
    pairs = list(zip(raw.pipe(texts()), calibrated.pipe(texts()), strict=True))
    for one, other in pairs:
        assert decisions(raw, one) == decisions(calibrated, other)
    assert any(one.cats != other.cats for one, other in pairs)
    scores = [nlp.evaluate(noisy_docs(nlp, seed=2)) for nlp in (raw, calibrated)]
    for name in ("intent_acc", "topics_macro_f", "slots_f", "pos_acc"):
        assert scores[0][name] == scores[1][name]


def test_probabilities_are_kept_on_docs(calibrated):
    doc = calibrated("who is Anna Schmidt")
    assert doc.ents
    assert all(0 < ent._.score <= 1 for ent in doc.ents)
    for token in doc:
        assert list(token._.scores) == ["pos"]
        assert token._.score == min(token._.scores.values())
    (confidence,) = calibrated.get_pipe("multitask").confidences([calibrated.make_doc("who is Anna Schmidt")])["pos"]
    assert min(token._.score for token in doc) == pytest.approx(confidence, abs=1e-5)


def test_sets_of_entities_are_those_of_all_labellings(calibrated):
    """The set holds every labelling of the doc that is likely enough at the temperature, and no other."""
    pipe = calibrated.get_pipe("multitask")
    head, doc = pipe.heads["slots"], calibrated.make_doc("who is Anna")
    (scores,) = pipe.decided_scores([doc], ["slots"]).values()
    tempered = constrain(scores, head.tag_scheme) * (1 / head.model.attrs[ATTR]["temperatures"]["docs"])
    (paths,) = likely_paths(constrain(tempered, head.tag_scheme), least=-np.inf, most=100_000)
    assert np.exp(paths.logs).sum() == pytest.approx(1.0, abs=1e-6)
    limit = set_rule_of(head.model).limit
    expected = [log for log in paths.logs if log >= -limit - 1e-9][:32]
    found = calibrated("who is Anna")._.mtl_sets["slots"]
    assert np.log(found.probabilities) == pytest.approx(expected, abs=1e-5)
    assert found.coverage == 0.8
    decided = tuple((ent.start, ent.end, ent.label_) for ent in calibrated("who is Anna").ents)
    assert not found.size or found.outcomes[0] == decided
    assert found.answered == (found.size == 1)


def test_sets_of_classes_that_do_not_exclude_each_other(calibrated):
    for doc in calibrated.pipe(texts()):
        found = doc._.mtl_sets["topics"]
        predicted = {
            key.removeprefix("topic=") for key, value in doc.cats.items() if key[:6] == "topic=" and value >= 0.3
        }
        assert found.answered == (set(found.outcomes) == predicted)
        least = min(found.probabilities, default=1.0)
        left_out = [doc.cats[f"topic={label}"] for label in ("music", "place") if label not in found]
        assert all(value <= least for value in left_out)


def test_it_goes_with_the_heads(calibrated, tmp_path):
    expected = [everything(doc) for doc in calibrated.pipe(texts())]
    assert all(sets.keys() == {"intent", "topics", "slots"} for _, _, sets, _ in expected)
    calibrated.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    assert [everything(doc) for doc in loaded.pipe(texts())] == expected
    from_bytes = spacy.util.load_model_from_config(calibrated.config, auto_fill=True).from_bytes(calibrated.to_bytes())
    assert [everything(doc) for doc in from_bytes.pipe(texts())] == expected
    pipe = loaded.get_pipe("multitask")
    small = pipe.extract("slots", nlp=loaded)
    assert [everything(doc)[0] for doc in small.pipe(texts())] == [ents for ents, *_ in expected]
    assert [everything(doc)[2]["slots"] for doc in small.pipe(texts())] == [sets["slots"] for _, _, sets, _ in expected]
    assert small.meta["spacy_mtl"][ATTR]["multitask"].keys() == {"intent", "slots"}
    pipe.rename_head("slots", "entities", nlp=loaded)
    assert [everything(doc)[2]["entities"] for doc in loaded.pipe(texts())] == [
        sets["slots"] for _, _, sets, _ in expected
    ]
    assert "entities" in loaded.meta["spacy_mtl"][ATTR]["multitask"]
    other = spacy.blank("en")
    other.add_pipe("multitask", source=loaded, name="sourced")
    assert other("play Anna")._.mtl_sets.keys() == {"intent", "topics", "entities"}


def test_docs_from_other_processes_and_threads_have_it(calibrated):
    expected = [everything(doc)[2] for doc in calibrated.pipe(texts())]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: [everything(doc)[2] for doc in calibrated.pipe(texts())], range(4)))
    assert found == [expected] * 4
    docs = list(calibrated.pipe(texts(), n_process=2, batch_size=len(texts())))
    assert [everything(doc)[2] for doc in docs] == expected
    again = Doc(calibrated.vocab).from_bytes(docs[0].to_bytes())
    assert again._.mtl_sets == docs[0]._.mtl_sets
    assert [ent._.score for ent in again.ents] == [ent._.score for ent in docs[0].ents]


def test_training_on_removes_it(calibrated, caplog):
    nlp = spacy.util.load_model_from_config(calibrated.config, auto_fill=True).from_bytes(calibrated.to_bytes())
    train_on(nlp, noisy_docs(nlp), steps=1)
    heads = nlp.get_pipe("multitask").heads
    assert not any(calibration_of(head.model) for head in heads.values())
    assert "calibrate the pipeline again" in caplog.text
    assert nlp("play Anna")._.mtl_sets == {}


def test_a_batch_without_gold_keeps_it(calibrated):
    nlp = spacy.util.load_model_from_config(calibrated.config, auto_fill=True).from_bytes(calibrated.to_bytes())
    doc = nlp.make_doc("play Anna")
    train_on(nlp, [Example(doc, doc.copy())], steps=1)
    assert all(calibration_of(head.model) for head in nlp.get_pipe("multitask").heads.values())


def test_an_entity_that_stays_from_before_gets_no_score_of_another(calibrated):
    doc = calibrated.make_doc("play Anna")
    doc.set_ents([Span(doc, 0, 2, "OTHER")])
    (ent,) = calibrated(doc).ents
    assert (ent.label_, ent._.score) == ("OTHER", None)


def test_a_new_label_removes_it_from_its_head_and_those_that_see_it(calibrated):
    nlp = spacy.util.load_model_from_config(calibrated.config, auto_fill=True).from_bytes(calibrated.to_bytes())
    pipe = nlp.get_pipe("multitask")
    pipe.add_label("stop", head="intent")
    assert [key for key, head in pipe.heads.items() if calibration_of(head.model)] == ["topics", "pos"]


def test_an_uncalibrated_pipeline_is_loaded_over_a_calibrated_one(raw, calibrated):
    nlp = spacy.util.load_model_from_config(calibrated.config, auto_fill=True).from_bytes(calibrated.to_bytes())
    nlp.get_pipe("multitask").from_bytes(raw.get_pipe("multitask").to_bytes())
    assert not any(calibration_of(head.model) for head in nlp.get_pipe("multitask").heads.values())


def test_over_a_listener(tmp_path):
    nlp = trained(listener=True)
    before = [decisions(nlp, doc) for doc in nlp.pipe(texts())]
    found = calibrate(nlp, "multitask", noisy_docs(nlp, seed=1), COVERED)
    assert list(found.heads) == ["intent", "topics", "slots", "pos"]
    assert [decisions(nlp, doc) for doc in nlp.pipe(texts())] == before
    nlp.to_disk(tmp_path)
    assert spacy.load(tmp_path)("play Anna")._.mtl_sets == nlp("play Anna")._.mtl_sets


def test_again_gives_the_same(calibrated):
    """A second calibration begins from the raw scores."""
    heads = calibrated.get_pipe("multitask").heads
    before = {key: dict(calibration_of(head.model)) for key, head in heads.items()}
    calibrate(calibrated, "multitask", noisy_docs(calibrated, seed=1), COVERED)
    assert {key: dict(calibration_of(head.model)) for key, head in heads.items()} == before


def test_heads_without_gold_are_skipped_and_keep_their_probabilities(raw):
    nlp = spacy.util.load_model_from_config(raw.config, auto_fill=True).from_bytes(raw.to_bytes())
    examples = noisy_docs(nlp, seed=1)
    for eg in examples:
        eg.reference.cats = {key: value for key, value in eg.reference.cats.items() if key.startswith("topic=")}
        eg.reference.set_ents([], default="missing")
    found = calibrate(nlp, "multitask", examples, CalibrationSettings())
    assert list(found.heads) == ["topics", "pos"]
    assert found.skipped.keys() == {"intent", "slots"}
    assert "0 docs have its gold (doc.cats)" in found.skipped["intent"]
    assert "doc.ents" in found.skipped["slots"]


def test_docs_with_partly_unset_gold_count_where_it_is_set(raw):
    nlp = spacy.util.load_model_from_config(raw.config, auto_fill=True).from_bytes(raw.to_bytes())
    examples = noisy_docs(nlp, seed=1)
    for eg in examples[::2]:
        eg.reference.set_ents([], missing=[eg.reference[0:1]], default="unmodified")
    held_out = noisy_docs(nlp, seed=3)
    for eg in held_out[:40]:
        eg.reference.set_ents([], missing=[eg.reference[0:1]], default="unmodified")
    found = calibrate(nlp, "multitask", examples, COVERED, held_out=held_out)
    assert found.heads["slots"].rule.n_docs == 40
    assert found.heads["intent"].rule.n_docs == 80


def test_too_few_docs_for_the_coverage(raw):
    nlp = spacy.util.load_model_from_config(raw.config, auto_fill=True).from_bytes(raw.to_bytes())
    examples = noisy_docs(nlp, 30, seed=1)
    with pytest.raises(ValueError, match=r"head 'intent': 15 docs are too few for a coverage of 0\.95, which needs 19"):
        calibrate(nlp, "multitask", examples, CalibrationSettings(coverage=0.95))
    assert not any(calibration_of(head.model) for head in nlp.get_pipe("multitask").heads.values())


def test_a_coverage_that_no_set_reaches_hands_every_doc_over(raw):
    nlp = spacy.util.load_model_from_config(raw.config, auto_fill=True).from_bytes(raw.to_bytes())
    settings = CalibrationSettings(coverage=0.9, method="aps", most=1)
    found = calibrate(nlp, "multitask", noisy_docs(nlp, seed=1), settings)
    intent = found.heads["intent"]
    assert intent.rule.limit == np.inf
    assert intent.sizes.answered == 0.0
    assert "every doc goes to a person" in " ".join(intent.notes)
    one = nlp("play Anna")._.mtl_sets["intent"]
    assert (one.complete, one.answered, one.size) == (False, False, 1)
    assert nlp.meta["spacy_mtl"][ATTR]["multitask"]["intent"]["sets"]["limit"] is None
    assert found.heads["pos"].notes == ["no prediction sets: a Tagger ranks no outcomes of whole docs"]


def test_thresholds_for_a_risk(calibrated):
    found = thresholds_of(calibrated, 0.95)
    assert found.keys() <= {"intent", "topics", "slots", "pos"}
    assert all(0 <= value <= 1 for value in found.values())
    assert thresholds_of(calibrated, 0.0) == {}


@pytest.mark.parametrize("threshold", [0.05, 0.8])
def test_another_threshold_changes_decisions_and_no_probability_beyond_them(threshold):
    """The temperature is that of the threshold it was fitted with, so the odds of labels stay where they were."""
    logits, decided = np.linspace(-4, 4, 9)[:, None], np.linspace(-4, 4, 9)[:, None] >= log_odds_of(threshold)
    own = calibrated_sigmoid(logits, logits >= 0, 3.0, 0.5, fitted_with=0.5)
    found = calibrated_sigmoid(logits, decided, 3.0, threshold, fitted_with=0.5)
    assert ((found >= threshold) == decided).all()
    free = (own >= threshold) == decided
    assert free.any()
    assert np.allclose(found[free], own[free])
