"""How long the systems of a comparison are trained."""

import pytest
from multi import make_config, write
from pipelines import heads_config
from spacy.util import load_model_from_config
from thinc.api import Config
from toy import make_docs, make_toy, toy_config

from spacy_mtl.experiments.budget import Budget, measure_pass, steps_for, steps_of, with_steps


def filled(config):
    return Config(load_model_from_config(config, auto_fill=True).config.interpolate())


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return make_toy(tmp_path_factory.mktemp("toy"), n_gold=40)


def by_docs(paths, size, **training):
    """A config whose batches have a number of docs."""
    config = toy_config(paths, heads_config(intent={"kind": "DocClassifier"}), **training)
    config["training"]["batcher"] = {"@batchers": "spacy.batch_by_sequence.v1", "size": size}
    return filled(config)


def test_a_pass_is_counted(paths):
    found = measure_pass(by_docs(paths, 10))
    assert found.batches == 4
    assert found.words_per_batch == pytest.approx(sum(map(len, make_docs(40, 0))) / 4)


@pytest.mark.parametrize(
    ("training", "steps"),
    [
        ({"max_steps": 30, "max_epochs": 0}, 30),
        ({"max_steps": 0, "max_epochs": 3}, 12),
        ({"max_steps": 5, "max_epochs": 3}, 5),
        ({"max_steps": 30, "max_epochs": 3}, 12),
    ],
)
def test_steps_of_a_training(paths, training, steps):
    assert steps_of(by_docs(paths, 10, **training)) == steps


def test_a_training_without_an_end_has_no_length(paths):
    with pytest.raises(ValueError, match=r"set training\.max_steps"):
        steps_of(by_docs(paths, 10, max_steps=0, max_epochs=-1))


@pytest.mark.parametrize(("unit", "steps"), [(Budget.steps, 100), (Budget.words, 200), (Budget.passes, 50)])
def test_units(paths, tmp_path, unit, steps):
    long = [doc for doc in make_docs(400, 3) if len(doc) == 6][:10]
    short = [doc for doc in make_docs(400, 3) if len(doc) == 3][:10]
    assert len(long) == len(short) == 10
    joint = by_docs(paths | {"train": write(tmp_path / "joint.spacy", long * 2)}, 5)
    part = by_docs(paths | {"train": write(tmp_path / "part.spacy", short)}, 5)
    assert steps_for(unit, joint, 100, part) == steps


def test_corpora_are_counted_without_their_sampler(tmp_path):
    docs = make_docs(30, 0)
    files = {"small": write(tmp_path / "small.spacy", docs[:10]), "large": write(tmp_path / "large.spacy", docs[10:])}
    config = make_config(files, "Uniform")
    config["training"]["batcher"] = {"@batchers": "spacy.batch_by_sequence.v1", "size": 10}
    assert measure_pass(filled(config)).batches == 3


def test_what_counts_steps_changes_in_proportion(paths):
    config = by_docs(paths, 10, max_steps=100, eval_frequency=20, patience=40, max_epochs=5)
    schedule = {"@schedules": "warmup_linear.v1", "warmup_steps": 10, "total_steps": 100, "initial_rate": 0.01}
    config["training"]["optimizer"]["learn_rate"] = schedule
    changed = with_steps(config, 50)["training"]
    assert [changed[key] for key in ("max_steps", "eval_frequency", "patience", "max_epochs")] == [50, 10, 20, 0]
    assert changed["optimizer"]["learn_rate"]["warmup_steps"] == 5
    assert changed["optimizer"]["learn_rate"]["total_steps"] == 50
    assert config["training"]["max_steps"] == 100
