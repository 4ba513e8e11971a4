"""The mean of trained pipelines: exact for equal ones, refused for others, and the greedy soup."""

import re
import shutil

import numpy as np
import pytest
import spacy
from multi import write
from pipelines import heads_config
from spacy.cli import app
from spacy.training import Example
from teachers import multitask_teacher, native_teacher
from toy import make_docs
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)
from spacy_mtl.averaging import soup as soups
from spacy_mtl.averaging.mean_weights import mean_of
from spacy_mtl.averaging.soup import average, average_to_disk, greedy
from spacy_mtl.calibration.calibrate import calibrate
from spacy_mtl.calibration.calibration_settings import CalibrationSettings
from spacy_mtl.crf.seen_types import SeenTypes
from spacy_mtl.encoders.hash_embed_cnn.rare_words import WordCounts
from spacy_mtl.pipeline.extraction import copy_pipeline

TEXTS = [doc.text for doc in make_docs(20, 8)]


def fails(*parts):
    return pytest.raises(ValueError, match="(?s)" + ".*".join(re.escape(part) for part in parts))


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Two trainings of one config from the same first weights, and a copy of the first."""
    folder = tmp_path_factory.mktemp("models")
    for name, steps in {"one": 15, "two": 25}.items():
        multitask_teacher(steps=steps).to_disk(folder / name)
    shutil.copytree(folder / "one", folder / "same")
    return {name: str(folder / name) for name in ("one", "two", "same")}


def params_of(nlp):
    return [
        (node.name, name, node.get_param(name))
        for _, pipe in nlp.pipeline
        for node in pipe.model.walk()
        for name in node.param_names
        if node.has_param(name)
    ]


def predictions(nlp):
    return [
        (doc.cats, [(ent.start, ent.end, ent.label_) for ent in doc.ents]) for doc in nlp.pipe(TEXTS, batch_size=20)
    ]


def test_the_mean_of_equal_pipelines_is_the_same(paths):
    first = spacy.load(paths["one"])
    found = average([paths["one"], paths["same"], paths["one"]]).nlp
    for (layer, name, mine), (_, _, theirs) in zip(params_of(found), params_of(first), strict=True):
        assert mine.dtype == theirs.dtype
        assert (mine == theirs).all(), (layer, name)
    assert predictions(found) == predictions(first)


def test_the_mean_of_two(paths, tmp_path):
    one, two = (spacy.load(paths[name]) for name in ("one", "two"))
    found = average_to_disk([paths["one"], paths["two"]], tmp_path / "out").nlp
    moved = 0
    for (_, _, mean), (_, _, a), (_, _, b) in zip(*map(params_of, (found, one, two)), strict=True):
        np.testing.assert_array_equal(mean, ((a.astype("d") + b) / 2).astype("f"))
        moved += bool((a != b).any())
    assert moved > 5
    again = spacy.load(tmp_path / "out")
    assert predictions(again) == predictions(found)
    assert again.meta["spacy_mtl"]["averaged"] == [paths["one"], paths["two"]]


def test_the_mean_does_not_pass_for_one_of_the_pipelines(paths, tmp_path):
    """Scores in the meta of a pipeline that was averaged are not those of the mean."""
    for name in ("one", "two"):
        nlp = spacy.load(paths[name])
        nlp.meta["performance"] = {"multitask_score": 0.99, "intent_acc": 0.98}
        nlp.to_disk(tmp_path / name)
    own = [str(tmp_path / name) for name in ("one", "two")]
    assert average(own).nlp.meta["performance"] == {}
    dev = write(tmp_path / "dev.spacy", make_docs(10, 8))
    soup = average_to_disk(own, tmp_path / "soup", dev=dev)
    assert spacy.load(tmp_path / "soup").meta["performance"] == {"multitask_score": soup.score}


def test_the_mean_of_halves_is_rounded_once():
    arrays = [np.array([0.1, 1e30, 3.0], dtype="f")] * 3
    assert (mean_of(arrays) == arrays[0]).all()


def test_what_training_has_shown_is_joined():
    counts = WordCounts({1: 2, 2: 5}).merged([WordCounts({1: 2, 2: 5}), WordCounts({1: 4, 3: 1})])
    assert counts.counts == {1: 4, 2: 5, 3: 1}
    kinds = SeenTypes().merged([SeenTypes([("a", ("x",))]), SeenTypes([("b", ())])])
    assert kinds.kinds == {("a", ("x",)), ("b", ())}


def test_the_greedy_soup_leaves_out_what_harms(paths):
    """The second pipeline lowers the score together with the first; the third, a copy of the first, does not."""
    names = [paths[name] for name in ("one", "two", "same")]
    pipelines = [spacy.load(name) for name in names]
    weights = {id(nlp): value for nlp, value in zip(pipelines, (0.9, 0.8, 0.7), strict=True)}
    first = params_of(pipelines[0])[0][2].copy()

    def score(nlp):
        return weights.get(id(nlp), 0.9 if (params_of(nlp)[0][2] == first).all() else 0.5)

    soup = greedy(names, pipelines, score)
    assert [(one.path, one.score, one.mean_score, one.is_used) for one in soup.ingredients] == [
        (names[0], 0.9, 0.9, True),
        (names[1], 0.8, 0.5, False),
        (names[2], 0.7, 0.9, True),
    ]
    assert soup.score == 0.9
    assert predictions(soup.nlp) == predictions(pipelines[0])


def test_the_score_of_a_soup_is_that_of_the_saved_pipeline(paths, tmp_path):
    dev = write(tmp_path / "dev.spacy", make_docs(40, 7))
    soup = average_to_disk([paths["one"], paths["two"]], tmp_path / "out", dev=dev)
    assert soup.score == pytest.approx(soups.dev_score(spacy.load(tmp_path / "out"), dev))
    assert soup.score >= max(one.score for one in soup.ingredients)


def test_spacys_own_pipes_are_averaged(tmp_path):
    for name, steps in {"a": 2, "b": 4}.items():
        native_teacher("tagger", "ner", listener=True, steps=steps).to_disk(tmp_path / name)
    a, b = (spacy.load(tmp_path / name) for name in "ab")
    found = average([str(tmp_path / "a"), str(tmp_path / "b")]).nlp
    for (_, _, mean), (_, _, one), (_, _, two) in zip(*map(params_of, (found, a, b)), strict=True):
        np.testing.assert_array_equal(mean, ((one.astype("d") + two) / 2).astype("f"))
    assert next(iter(found.pipe(TEXTS))).has_annotation("TAG")


def test_what_is_refused(paths, tmp_path):
    with fails("nothing to average", "at least two"):
        average([paths["one"]])
    with fails(str(tmp_path / "none"), "Can't find model"):
        average([paths["one"], str(tmp_path / "none")])
    docs = make_docs(60, 5)
    for doc in docs:
        doc.cats |= {"other": 0.0}
    multitask_teacher(docs=docs, steps=1).to_disk(tmp_path / "labels")
    with fails(paths["one"], "labels", "multitask.intent", "['ask', 'play']", "['ask', 'other', 'play']"):
        average([paths["one"], str(tmp_path / "labels")])
    heads = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})
    multitask_teacher(heads, steps=1).to_disk(tmp_path / "config")
    with fails("other configs", "components.multitask.heads.slots.condition_on"):
        average([paths["one"], str(tmp_path / "config")])
    nlp = spacy.load(paths["one"])
    wider = copy_pipeline(nlp, [])
    node = next(node for node in wider.get_pipe("multitask").model.walk() if node.has_param("W"))
    node.set_param("W", np.zeros((3, 3), dtype="f"))
    with fails("component 'multitask'", node.name, "W has the shapes"):
        soups.check_same(nlp, wider, ("first", "second"))


def test_the_order_of_labels_counts(paths):
    nlp = spacy.load(paths["one"])
    other = spacy.load(paths["one"])
    head = other.get_pipe("multitask").heads["intent"]
    head.model.attrs["labels"] = head.model.attrs["labels"][::-1]
    with fails("in another order", "['ask', 'play']", "['play', 'ask']"):
        soups.check_same(nlp, other, ("first", "second"))


def test_a_calibration_that_is_left_out_is_named(paths, tmp_path):
    """One of the two is calibrated, and the user is told which heads of the mean are not."""
    nlp = spacy.load(paths["one"])
    dev = [Example(nlp.make_doc(doc.text), doc) for doc in make_docs(40, 9)]
    calibrate(nlp, "multitask", dev, CalibrationSettings())
    nlp.to_disk(tmp_path / "calibrated")
    arguments = ["mtl", "average", paths["two"], str(tmp_path / "calibrated"), "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "calibration of heads intent, slots was left out" in " ".join(done.output.split())
    meta = spacy.load(tmp_path / "out").meta["spacy_mtl"]
    assert meta["uncalibrated"] == ["intent", "slots"]
    assert "calibration" not in meta
    plain = average_to_disk([paths["one"], paths["two"]], tmp_path / "plain")
    assert plain.uncalibrated == []
    assert "uncalibrated" not in spacy.load(tmp_path / "plain").meta["spacy_mtl"]


def test_the_command(paths, tmp_path):
    dev = write(tmp_path / "dev.spacy", make_docs(20, 7))
    runner = CliRunner()
    arguments = ["mtl", "average", paths["one"], paths["two"], "--output", str(tmp_path / "out")]
    done = runner.invoke(app, [*arguments, "--dev", str(dev)])
    assert done.exit_code == 0, done.output
    assert "in the mean" in done.output
    refused = runner.invoke(app, arguments)
    assert refused.exit_code == 1
    assert "--force" in refused.output
    assert runner.invoke(app, [*arguments, "--force"]).exit_code == 0
