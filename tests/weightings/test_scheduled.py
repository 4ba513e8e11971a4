"""Weights that follow schedules: by hand, from a config, and across a reload."""

import itertools
import pickle

import pytest
import spacy
from balancing import make_cnn, make_examples, use

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.scheduled import make_scheduled_v1

WARMUP = {"@schedules": "warmup_linear.v1", "initial_rate": 2.0, "warmup_steps": 4, "total_steps": 8}


def test_by_hand():
    weighting = make_scheduled_v1({"a": itertools.count(0.0, 0.5), "b": 3.0}, {"b": 0.5})
    weighting.bind(["a", "b", "c"])
    losses = dict.fromkeys("abc", 1.0)
    assert weighting.weights(losses, Step(0)) == {"a": 0.0, "b": 1.5, "c": 1.0}
    assert weighting.weights(losses, Step(3)) == {"a": 1.5, "b": 1.5, "c": 1.0}
    assert weighting.weights(losses, Step(1)) == {"a": 0.5, "b": 1.5, "c": 1.0}
    assert make_scheduled_v1({"a": iter([2.0, 1.0])}).weights({"a": 1.0}, Step(9)) == {"a": 1.0}


def test_a_schedule_of_thincs_from_a_config_and_across_a_reload(tmp_path):
    """It rises from 0 by 0.5 a step, to 2."""
    nlp = make_cnn(use("Scheduled", schedules={"slots": WARMUP}))
    optimizer = nlp.create_optimizer()
    for expected in (0.0, 0.5, 1.0):
        losses = nlp.update(make_examples(nlp), sgd=optimizer, losses={})
        assert losses["multitask"] == pytest.approx(losses["multitask/intent"] + expected * losses["multitask/slots"])
    assert pickle.loads(pickle.dumps(nlp.get_pipe("multitask").weighting)).schedules["slots"].at(2) == 1.0
    nlp.to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    losses = nlp.update(make_examples(nlp), sgd=False, losses={})
    assert losses["multitask"] == pytest.approx(losses["multitask/intent"] + 1.5 * losses["multitask/slots"])


@pytest.mark.parametrize(
    ("schedules", "parts"),
    [
        ({"solts": 1.0}, r"schedules names \['solts'\].*\['intent', 'slots'\]"),
        ({"slots": -1.0}, "the schedule of head 'slots' gives -1.0 at step 0; it must be at least 0"),
        ({"slots": "fast"}, "the schedule of head 'slots' is 'fast'; expected a number, or a section with @schedules"),
    ],
)
def test_schedules_that_make_no_sense(schedules, parts):
    with pytest.raises(ValueError, match=rf"Scheduled\.v1: {parts}"):
        make_cnn(use("Scheduled", schedules=schedules))


def test_a_schedule_that_falls_below_zero_names_head_and_step():
    weighting = make_scheduled_v1({"a": itertools.count(1.0, -1.0)})
    weighting.bind(["a"])
    with pytest.raises(ValueError, match=r"head 'a' gives -1.0 at step 2"):
        weighting.weights({"a": 1.0}, Step(2))
