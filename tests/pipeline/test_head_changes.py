"""Heads are added, removed and renamed in a trained pipeline; the others stay exactly as they are."""

import numpy as np
import pytest
import spacy
from balancing import CNN, use
from numpy.testing import assert_array_equal
from pipelines import JOINT, TEXTS, make_examples, make_nlp, train

from spacy_mtl.optimizers.grouped import make_optimizer_v1

TAGGER = {"@mtl_heads": "spacy_mtl.Tagger.v1", "attr": "pos"}
HEADS = JOINT | {"pos": TAGGER}
SHARING = {"Adapters": {"by": "head"}, "CrossStitch": {}, "MMoE": {}, "PLE": {"n_levels": 2}}


def examples_of(nlp):
    found = make_examples(nlp)
    for eg in found:
        for index, token in enumerate(eg.reference):
            token.pos_ = "NOUN" if index % 2 else "VERB"
    return found


def make(heads=HEADS, **settings):
    nlp = make_nlp(heads, examples=examples_of, **settings)
    train(nlp, examples_of(nlp), steps=4)
    return nlp, nlp.get_pipe("multitask")


def with_sharing(name, heads=HEADS):
    layer = {"@mtl_sharing": f"spacy_mtl.{name}.v1", **SHARING[name]}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": CNN, "sharing": layer}
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"heads": heads, "model": model})
    nlp.initialize(lambda: examples_of(nlp))
    train(nlp, examples_of(nlp), steps=4)
    return nlp, nlp.get_pipe("multitask")


def scores_of(nlp, head):
    docs = list(nlp.pipe(text for text, *_ in TEXTS))
    found = nlp.get_pipe("multitask").model.predict(docs)[head]
    return [found] if isinstance(found, np.ndarray) else [array.copy() for array in found.potentials]


def assert_scores(nlp, head, expected):
    for one, other in zip(scores_of(nlp, head), expected, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("listener", [False, True])
def test_a_head_is_added_to_trained_ones_and_learns(listener, tmp_path):
    nlp, pipe = make(JOINT, listener=listener)
    expected = {head: scores_of(nlp, head) for head in JOINT}
    pipe.add_head("pos", TAGGER, nlp=nlp, get_examples=lambda: examples_of(nlp))
    nlp.to_disk(tmp_path)
    for other in (nlp, spacy.load(tmp_path)):
        for head in JOINT:
            assert_scores(other, head, expected[head])
        assert other.get_pipe("multitask").label_data["pos"] == ["NOUN", "VERB"]
    train(nlp, examples_of(nlp), steps=40)
    assert nlp.evaluate(examples_of(nlp))["pos_acc"] > 0.9


def test_a_head_is_added_before_initialisation():
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe("multitask", config={"heads": JOINT})
    pipe.add_head("pos", TAGGER, nlp=nlp)
    nlp.initialize(lambda: examples_of(nlp))
    assert pipe.label_data["pos"] == ["NOUN", "VERB"]


@pytest.mark.parametrize("name", SHARING)
def test_sharing_layers_follow(name, tmp_path, caplog):
    nlp, pipe = with_sharing(name, JOINT)
    expected = {head: scores_of(nlp, head) for head in JOINT}
    pipe.rename_head("intent", "experts", nlp=nlp)
    assert_scores(nlp, "experts", expected["intent"])
    assert_scores(nlp, "slots", expected["slots"])
    pipe.rename_head("experts", "intent", nlp=nlp)
    pipe.add_head("pos", TAGGER, nlp=nlp, labels=["NOUN", "VERB"])
    assert ("mixes the heads" in caplog.text) == (name in ("CrossStitch", "PLE"))
    if name in ("Adapters", "MMoE"):
        assert_scores(nlp, "slots", expected["slots"])
    now = scores_of(nlp, "slots")
    pipe.remove_head("pos", nlp=nlp)
    assert_scores(nlp, "slots", now)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert_scores(loaded, "slots", now)
    loaded.get_pipe("multitask").add_head("pos", TAGGER, nlp=loaded, labels=["NOUN", "VERB"])
    train(loaded, examples_of(loaded), steps=1)


def test_renamed_in_all_that_names_it(tmp_path):
    nlp, pipe = make(weighting=use("DWA", weights={"intent": 0.5}))
    expected = {head: scores_of(nlp, head) for head in HEADS}
    sums = dict(pipe.weighting.sums)
    nlp.config["training"]["score_weights"] = {"intent_acc": 1.0, "slots_f": 0.0, "multitask_score": 0.0}
    nlp.config["training"]["optimizer"] = {
        "@optimizers": "spacy_mtl.Optimizer.v1",
        "groups": {"one": {"pattern": "multitask/intent/"}},
    }
    nlp.config["corpora"]["train"] = {
        "@readers": "spacy_mtl.MultiCorpus.v1",
        "corpora": {"a": {"heads": ["intent", "slots"]}, "b": {"heads": ["pos"]}},
        "sampler": None,
    }
    nlp.meta["performance"] = {"intent_acc": 0.5, "a/intent_acc": 0.25}
    pipe.rename_head("intent", "command", nlp=nlp)
    config = nlp.config
    heads = config["components"]["multitask"]["heads"]
    assert list(heads) == ["command", "slots", "pos"]
    assert heads["slots"]["condition_on"] == "command"
    assert pipe.heads["slots"].condition_on == ("command",)
    assert config["components"]["multitask"]["weighting"]["weights"] == {"command": 0.5}
    assert pipe.weighting.sums == {{"intent": "command"}.get(key, key): value for key, value in sums.items()}
    assert config["training"]["score_weights"]["command_acc"] == 1.0
    assert config["training"]["optimizer"]["groups"] == {"one": {"pattern": "multitask/command/"}}
    assert config["corpora"]["train"]["corpora"]["a"]["heads"] == ["command", "slots"]
    assert nlp.meta["performance"] == {"command_acc": 0.5, "a/command_acc": 0.25}
    nlp.config["corpora"].pop("train")
    nlp.to_disk(tmp_path)
    for other in (nlp, spacy.load(tmp_path)):
        for head in HEADS:
            assert_scores(other, {"intent": "command"}.get(head, head), expected[head])


def test_learned_weights_follow():
    nlp, pipe = make(weighting=use("Uncertainty"))
    learned = {key: layer.get_param("log_variance").copy() for key, layer in pipe.weighting.layers.items()}
    assert any(value.any() for value in learned.values())
    pipe.rename_head("intent", "command", nlp=nlp)
    pipe.remove_head("pos", nlp=nlp)
    for key in ("command", "slots"):
        expected = learned["intent" if key == "command" else key]
        assert_array_equal(pipe.weighting.layers[key].get_param("log_variance"), expected)


def test_an_optimizer_goes_on_after_a_head_of_another_shape_took_a_name():
    nlp, pipe = make()
    optimizer = make_optimizer_v1(0.01)
    optimizer.bind(nlp)
    for labels in (["NOUN", "VERB", "ADJ"], ["NOUN", "VERB"]):
        nlp.update(examples_of(nlp), sgd=optimizer)
        pipe.remove_head("pos", nlp=nlp)
        pipe.add_head("pos", TAGGER, nlp=nlp, labels=labels)
    losses = nlp.update(examples_of(nlp), sgd=optimizer, losses={})
    assert np.isfinite(losses["multitask"])


def test_default_heads_get_sections_of_their_own(tmp_path):
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe("multitask")
    nlp.initialize(lambda: make_examples(nlp))
    pipe.remove_head("ner", nlp=nlp)
    nlp.to_disk(tmp_path)
    assert list(spacy.load(tmp_path).get_pipe("multitask").heads) == ["textcat"]


def test_bad_input_changes_nothing():
    nlp, pipe = make()
    before, config = nlp("play Anna").to_json(), nlp.config.to_str()
    for match, change in {
        "needs it": lambda: pipe.remove_head("intent", nlp=nlp),
        "no head 'x'": lambda: pipe.remove_head("x", nlp=nlp),
        "there is a head 'slots' already": lambda: pipe.rename_head("pos", "slots", nlp=nlp),
        "there is a head 'pos' already": lambda: pipe.add_head("pos", TAGGER, nlp=nlp, labels=["A"]),
        "has a '/'": lambda: pipe.rename_head("pos", "a/b", nlp=nlp),
        "also predicted by head 'pos'": lambda: pipe.add_head("again", TAGGER, nlp=nlp, labels=["NOUN"]),
        "needs get_examples": lambda: pipe.add_head("tag", TAGGER | {"attr": "tag"}, nlp=nlp),
        "none of the 4 examples": lambda: pipe.add_head(
            "tag", TAGGER | {"attr": "tag"}, nlp=nlp, get_examples=lambda: examples_of(nlp)
        ),
        "expected its section": lambda: pipe.add_head("tag", pipe.heads["pos"], nlp=nlp),
        "not part of the pipeline": lambda: pipe.remove_head("pos", nlp=spacy.blank("en")),
        "condition_on names 'x'": lambda: pipe.add_head(
            "spans",
            {"@mtl_heads": "spacy_mtl.EntityRecognizer.v1", "spans_key": "sc", "condition_on": "x"},
            nlp=nlp,
            labels=["A"],
        ),
    }.items():
        with pytest.raises(ValueError, match=match):
            change()
    assert nlp("play Anna").to_json() == before
    assert nlp.config.to_str() == config
    assert list(pipe.heads) == list(HEADS)


def test_the_last_head_stays():
    nlp, pipe = make({"pos": TAGGER})
    with pytest.raises(ValueError, match="all its heads"):
        pipe.remove_head("pos", nlp=nlp)
