"""Thresholds for labels: saved with a calibrated pipeline, and taken by distillation and co-training."""

import pytest
import srsly

from spacy_mtl.calibration.label_threshold import LabelThreshold, confidences_for, saved_thresholds
from spacy_mtl.cli.co_train import make_settings
from spacy_mtl.cli.distil import calibrated_thresholds
from spacy_mtl.cotraining import plan
from spacy_mtl.cotraining.plan import thresholds_of
from spacy_mtl.distillation.distil_settings import TeacherName


@pytest.fixture
def model(tmp_path):
    """The meta of a calibrated pipeline: what reads thresholds reads no more than that."""
    labels = {"intent": {"risk": 0.05, "confidence": 0.8}, "slots": {"risk": 0.05, "confidence": None}}
    shown = {head: {"labels": own} for head, own in labels.items()} | {"pos": {}}
    srsly.write_json(tmp_path / "meta.json", {"spacy_mtl": {"calibration": {"multitask": shown}}})
    return str(tmp_path)


def test_they_are_read_by_head(model):
    assert saved_thresholds(model) == {"intent": LabelThreshold(0.05, 0.8), "slots": LabelThreshold(0.05, None)}
    assert confidences_for(model, [("class", "intent")]) == {"class": 0.8}


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("slots", "no confidence of head 'slots' .* below 0.05 .* give --threshold slots=N"),
        ("pos", r"no threshold for its head 'pos'; it has some for \['intent', 'slots'\]; give --threshold pos=N"),
    ],
)
def test_a_head_without_one_is_named(model, head, message):
    with pytest.raises(ValueError, match=message):
        confidences_for(model, [(head, head)])


def test_a_folder_without_a_pipeline_is_named(tmp_path):
    with pytest.raises(ValueError, match="neither the folder of a pipeline nor an installed package"):
        saved_thresholds(str(tmp_path / "nothing"))


def test_distillation_takes_those_of_each_teacher(model):
    assert calibrated_thresholds([TeacherName("class", model, "intent"), TeacherName("intent", model)]) == {
        "class": 0.8,
        "intent": 0.8,
    }


def test_heads_of_one_name_are_told_apart_by_their_component(tmp_path):
    labels = {"intent": {"labels": {"risk": 0.05, "confidence": 0.8}}}
    other = {"intent": {"labels": {"risk": 0.05, "confidence": 0.75}}, "slots": labels["intent"]}
    srsly.write_json(tmp_path / "meta.json", {"spacy_mtl": {"calibration": {"first": labels, "second": other}}})
    saved = saved_thresholds(str(tmp_path))
    assert {head: own.confidence for head, own in saved.items()} == {
        "first/intent": 0.8,
        "second/intent": 0.75,
        "slots": 0.8,
    }


def test_co_training_takes_those_of_a_pipeline_and_its_own_go_before(model):
    settings = make_settings(2, ["0.9", "slots=0.7"], model, "seeds", [], 1)
    assert thresholds_of(["intent", "slots", "other"], settings) == {"intent": 0.8, "slots": 0.7, "other": 0.9}
    with pytest.raises(ValueError, match="give --threshold slots=N"):
        thresholds_of(["intent", "slots"], make_settings(2, [], model, "seeds", [], 1))


def test_co_training_asks_for_no_threshold_of_a_head_that_the_config_lacks(model):
    """Head `slots` of the pipeline has none, and takes no part."""
    assert thresholds_of(["intent"], make_settings(2, [], model, "seeds", [], 1)) == {"intent": 0.8}


def test_co_training_reads_the_pipeline_once(model, monkeypatch):
    read = []
    monkeypatch.setattr(plan, "saved_thresholds", lambda path: read.append(path) or saved_thresholds(path))
    thresholds_of(["intent"], make_settings(2, [], model, "seeds", [], 1))
    assert read == [model]
