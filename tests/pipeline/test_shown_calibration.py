"""What the meta of a pipeline says of calibrations: what its heads hold, at all times."""

import numpy as np
import pytest
import spacy
from multi import write
from pipelines import heads_config, make_examples, make_nlp, train
from spacy.util import load_model_from_config

from spacy_mtl.averaging.soup import average
from spacy_mtl.calibration.calibrate import calibrate
from spacy_mtl.calibration.calibration_settings import CalibrationSettings
from spacy_mtl.calibration.gold_scores import read_examples
from spacy_mtl.calibration.label_threshold import saved_thresholds
from spacy_mtl.protocols.head_calibration import ATTR, calibration_of

HEADS = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})
SETTINGS = CalibrationSettings(coverage=0.7)


def calibrated(**options):
    nlp = make_nlp(HEADS, **options)
    train(nlp, make_examples(nlp), steps=12)
    calibrate(nlp, "multitask", make_examples(nlp) * 8, SETTINGS)
    return nlp


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("calibrated")
    calibrated().to_disk(path)
    return path


def check(nlp, *components):
    """The meta says what the heads hold. RETURNS: the calibrated heads by component."""
    shown = nlp.meta["spacy_mtl"][ATTR]
    held = {
        name: {key for key, head in nlp.get_pipe(name).heads.items() if calibration_of(head.model)}
        for name in components or ("multitask",)
    }
    assert {name: set(heads) for name, heads in shown.items()} == {name: own for name, own in held.items() if own}
    return held


def test_training_on_clears_it(saved, tmp_path):
    nlp = spacy.load(saved)
    assert check(nlp) == {"multitask": {"intent", "slots"}}
    train(nlp, make_examples(nlp), steps=1)
    assert check(nlp) == {"multitask": set()}
    nlp.to_disk(tmp_path)
    assert check(spacy.load(tmp_path)) == {"multitask": set()}


def test_a_new_label_clears_that_of_its_head(saved):
    nlp = spacy.load(saved)
    nlp.get_pipe("multitask").add_label("DATE", head="slots")
    assert check(nlp) == {"multitask": {"intent"}}


def test_it_is_that_of_bytes_too(saved):
    nlp = spacy.load(saved)
    again = load_model_from_config(nlp.config, auto_fill=True).from_bytes(nlp.to_bytes())
    train(again, make_examples(again), steps=1)
    assert check(again) == {"multitask": set()}
    assert check(nlp) == {"multitask": {"intent", "slots"}}


def test_a_frozen_encoder(tmp_path):
    """The heads are trained over a tok2vec pipe that is sourced and not updated."""
    first = calibrated(listener=True)
    first.to_disk(tmp_path / "first")
    nlp = spacy.load(tmp_path / "first")
    optimizer = nlp.resume_training()
    assert check(nlp) == {"multitask": {"intent", "slots"}}
    nlp.update(make_examples(nlp), sgd=optimizer, exclude=["tok2vec"], annotates=["tok2vec"])
    assert check(nlp) == {"multitask": set()}


def test_a_frozen_component_keeps_it(saved):
    nlp = spacy.load(saved)
    nlp.add_pipe("textcat_multilabel").add_label("play")
    nlp.get_pipe("textcat_multilabel").initialize(lambda: make_examples(nlp), nlp=nlp)
    nlp.update(make_examples(nlp), sgd=nlp.create_optimizer(), exclude=["multitask"])
    assert check(nlp) == {"multitask": {"intent", "slots"}}


def test_two_components(tmp_path):
    """Each keeps its own, and training one of them on takes that of the other nothing."""
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"heads": {"intent": HEADS["intent"]}})
    nlp.add_pipe("multitask", name="second", config={"heads": {"slots": HEADS["slots"]}})
    nlp.initialize(lambda: make_examples(nlp))
    train(nlp, make_examples(nlp), steps=8)
    for component in ("multitask", "second"):
        calibrate(nlp, component, make_examples(nlp) * 8, SETTINGS)
    assert check(nlp, "multitask", "second") == {"multitask": {"intent"}, "second": {"slots"}}
    assert nlp("play some jazz")._.mtl_sets.keys() == {"intent", "slots"}
    nlp.to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    nlp.update(make_examples(nlp), sgd=nlp.resume_training(), exclude=["second"])
    assert check(nlp, "multitask", "second") == {"multitask": set(), "second": {"slots"}}


def test_two_components_with_a_head_of_one_name(tmp_path):
    """Their sets are told apart by the component, in other processes and after a reload too, and so are thresholds."""
    nlp = spacy.blank("en")
    intents = [{"intent": HEADS["intent"] | {"label_prefix": prefix}} for prefix in ("was=", "is=")]
    nlp.add_pipe("multitask", config={"heads": HEADS | intents[0]})
    nlp.add_pipe("multitask", name="second", config={"heads": intents[1]})

    def examples():
        found = make_examples(nlp)
        for eg in found:
            eg.reference.cats = {f"{p}={key}": value for key, value in eg.reference.cats.items() for p in ("is", "was")}
        return found

    nlp.initialize(examples)
    train(nlp, examples(), steps=8)
    before = nlp("who is Anna").cats
    for component in ("multitask", "second"):
        calibrate(nlp, component, examples() * 8, SETTINGS)
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    assert check(again, "multitask", "second") == {"multitask": {"intent", "slots"}, "second": {"intent"}}
    for doc in (nlp("who is Anna"), again("who is Anna"), *again.pipe(["who is Anna"] * 2, n_process=2)):
        found = doc._.mtl_sets
        assert list(found) == ["multitask/intent", "slots", "second/intent"]
        for component, prefix in (("multitask", "was="), ("second", "is=")):
            cats = {key.removeprefix(prefix): value for key, value in doc.cats.items() if key.startswith(prefix)}
            old = {key: before[prefix + key] for key in cats}
            assert max(cats, key=cats.get) == max(old, key=old.get)
            for outcome, share in zip(
                found[f"{component}/intent"].outcomes, found[f"{component}/intent"].probabilities, strict=True
            ):
                assert share == pytest.approx(cats[outcome], abs=1e-5)
    assert list(saved_thresholds(str(tmp_path))) == ["multitask/intent", "slots", "second/intent"]


@pytest.mark.parametrize("listener", [False, True])
def test_a_sourced_component_beside_a_frozen_pipe(tmp_path, listener):
    """`multitask` comes from another pipeline, and stands between pipes that a training would freeze. What decides, and
    all bytes of the others, stay; temperatures are fitted, saved, loaded and applied.
    """
    source = make_nlp(HEADS, listener=listener)
    train(source, make_examples(source), steps=12)
    source.to_disk(tmp_path / "source")
    nlp = spacy.blank("en")
    loaded = spacy.load(tmp_path / "source")
    nlp.add_pipe("textcat_multilabel", name="frozen")
    for name in loaded.pipe_names:
        nlp.add_pipe(name, source=loaded)
    nlp.add_pipe("sentencizer")
    frozen = nlp.get_pipe("frozen")
    frozen.add_label("other")
    frozen.initialize(lambda: make_examples(nlp), nlp=nlp)
    nlp.to_disk(tmp_path / "raw")
    texts = [eg.text for eg in make_examples(nlp)]
    scores = spacy.load(tmp_path / "raw").evaluate(make_examples(nlp))

    read = read_examples(nlp, write(tmp_path / "dev.spacy", [eg.reference for eg in make_examples(nlp)] * 8))
    found = calibrate(nlp, "multitask", read, SETTINGS)
    assert set(found.heads) == {"intent", "slots"}
    check(nlp)
    nlp.to_disk(tmp_path / "calibrated")
    again = spacy.load(tmp_path / "calibrated")
    assert check(again) == {"multitask": {"intent", "slots"}}
    after = again.evaluate(make_examples(again))
    assert all(after[key] == scores[key] for key in ("intent_acc", "slots_f", "multitask_score"))
    raw = spacy.load(tmp_path / "raw")
    for name in raw.component_names:
        one, other = (part.get_pipe(name).to_bytes(exclude=["vocab"]) for part in (raw, again))
        assert (one == other) == (name != "multitask"), name
    temperature = again.get_pipe("multitask").heads["intent"].model.attrs[ATTR]["temperatures"]["docs"]
    assert temperature != 1.0
    for one, other in zip(raw.pipe(texts), again.pipe(texts), strict=True):
        assert one.cats["other"] == other.cats["other"]
        odds = [np.log(doc.cats["play"] / doc.cats["ask"]) for doc in (one, other)]
        assert odds[1] == pytest.approx(odds[0] / temperature, rel=1e-3)
        assert other._.mtl_sets.keys() == {"intent", "slots"}


def test_the_mean_of_calibrated_pipelines_has_none(saved, tmp_path):
    other = spacy.load(saved)
    train(other, make_examples(other), steps=2)
    calibrate(other, "multitask", make_examples(other) * 8, SETTINGS)
    other.to_disk(tmp_path / "other")
    nlp = average([str(saved), str(tmp_path / "other")]).nlp
    assert not any(calibration_of(head.model) for head in nlp.get_pipe("multitask").heads.values())
    assert ATTR not in nlp.meta["spacy_mtl"]
    assert nlp("play some jazz")._.mtl_sets == {}


def test_extracted_and_merged_heads_keep_theirs(saved):
    nlp = spacy.load(saved)
    parts = [nlp.get_pipe("multitask").extract(head, nlp=nlp) for head in ("intent", "slots")]
    assert [check(part) for part in parts] == [{"multitask": {"intent"}}, {"multitask": {"slots"}}]
    whole = parts[0].get_pipe("multitask").merge(parts[1], nlp=parts[0])
    assert check(whole) == {"multitask": {"intent", "slots"}}
    assert whole("play some jazz")._.mtl_sets == nlp("play some jazz")._.mtl_sets
    train(whole, make_examples(whole), steps=1)
    assert check(whole) == {"multitask": set()}
    assert [check(part) for part in parts] == [{"multitask": {"intent"}}, {"multitask": {"slots"}}]


def test_an_uncalibrated_head_is_merged_with_a_calibrated_one(saved):
    nlp = spacy.load(saved)
    part = nlp.get_pipe("multitask").extract("intent", nlp=nlp)
    nlp.get_pipe("multitask").add_label("DATE", head="slots")
    whole = part.get_pipe("multitask").merge(nlp, ["slots"], nlp=part)
    assert check(whole) == {"multitask": {"intent"}}


def test_a_head_is_renamed_and_removed(saved):
    nlp = spacy.load(saved)
    nlp.get_pipe("multitask").rename_head("slots", "entities", nlp=nlp)
    assert check(nlp) == {"multitask": {"intent", "entities"}}
    nlp.get_pipe("multitask").remove_head("intent", nlp=nlp)
    assert check(nlp) == {"multitask": {"entities"}}
