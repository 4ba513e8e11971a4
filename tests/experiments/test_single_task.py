"""Configs of single tasks: what stays, what goes, and what cannot be derived."""

from copy import deepcopy

import pytest
import spacy
from multi import make_config, write
from pipelines import heads_config
from spacy.training.initialize import init_nlp
from spacy.util import load_model_from_config, registry, resolve_dot_names
from thinc.api import Config
from toy import make_docs, make_toy, toy_config

from spacy_mtl.experiments.companions import companions
from spacy_mtl.experiments.gold_counts import count_corpora
from spacy_mtl.experiments.single_task import Whole, derive, judged_reader, score_weights
from spacy_mtl.readers.pipeline_heads import heads_of

THREE = heads_config(
    intent={"kind": "DocClassifier"},
    slots={"kind": "EntityRecognizer", "condition_on": "intent", "consistent_with": "intent"},
    parts={"kind": "EntityRecognizer", "spans_key": "parts", "condition_on": ["intent", "slots"]},
)


def whole_of(config):
    """What `derive` needs, from a config."""
    nlp = load_model_from_config(config, auto_fill=True)
    settings = nlp.config.interpolate()
    heads = heads_of(nlp.components)
    names = [settings["training"][f"{split}_corpus"] for split in ("train", "dev")]
    train, dev = resolve_dot_names(settings, names)
    return Whole(
        Config(settings),
        "multitask",
        heads,
        count_corpora(train, nlp, heads, name="train", collect=True),
        count_corpora(dev, nlp, heads, name="dev"),
    )


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return make_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def heads():
    nlp = spacy.blank("en")
    return nlp.add_pipe("multitask", config={"heads": THREE}).heads


@pytest.mark.parametrize(
    ("task", "detach", "expected"),
    [
        ("intent", False, ()),
        ("slots", False, ("intent",)),
        ("parts", False, ("intent", "slots")),
        ("parts", True, ()),
        ("slots", True, ()),
    ],
)
def test_heads_stay_with_those_that_they_are_conditioned_on(heads, task, detach, expected):
    assert companions(heads, (task,), detach=detach) == expected


def test_the_rest_of_the_config_stays(paths):
    whole = whole_of(toy_config(paths))
    config = derive(whole, tasks=["intent"])
    assert list(config["components"]["multitask"]["heads"]) == ["intent"]
    for section in ("nlp", "corpora", "system"):
        assert config[section] == whole.config[section]
    changed = {key for key, value in config["training"].items() if value != whole.config["training"][key]}
    assert changed <= {"score_weights"}
    assert config["components"]["multitask"]["model"] == whole.config["components"]["multitask"]["model"]


def test_what_is_derived_can_be_trained(paths):
    whole = whole_of(toy_config(paths))
    for tasks, stay in ((["intent"], []), (["slots"], ["intent"]), (["slots"], [])):
        nlp = init_nlp(derive(whole, tasks=tasks, companions=stay))
        assert set(nlp.get_pipe("multitask").heads) == {*tasks, *stay}
        assert nlp.config["training"]["score_weights"]["multitask_exact"] == 0.0


def test_a_head_that_is_cut_off_has_no_conditions(paths):
    config = derive(whole_of(toy_config(paths)), tasks=["slots"])
    assert config["components"]["multitask"]["heads"]["slots"]["condition_on"] is None


def test_weights_and_labels_are_those_of_the_heads_that_stay(paths):
    config = toy_config(paths)
    config["components"]["multitask"]["weighting"]["weights"] = {"intent": 0.0, "slots": 4.0}
    config["initialize"]["components"] = {"multitask": {"labels": {"intent": ["ask", "play"], "slots": ["name"]}}}
    derived = derive(whole_of(config), tasks=["intent"])
    # weight 0 would be refused: nothing would be learned
    assert derived["components"]["multitask"]["weighting"]["weights"] == {"intent": 1.0}
    assert derived["initialize"]["components"]["multitask"]["labels"] == {"intent": ["ask", "play"]}
    init_nlp(derived)


def test_a_classifier_takes_no_number_for_a_class(tmp_path):
    """Without the regressor, whose number is in `cats` too, nobody else would say so."""
    docs = make_docs(20, 0)
    for doc in docs:
        doc.cats = doc.cats | {"length": float(len(doc))}
    path = write(tmp_path / "rated.spacy", docs)
    heads = heads_config(intent={"kind": "DocClassifier"}, size={"kind": "Regressor", "numbers": ["length"]})
    whole = whole_of(toy_config({"train": path, "dev": path}, heads))
    for task, labels in (("intent", ("ask", "play")), ("size", ("length",))):
        derived = derive(whole, tasks=[task])
        assert init_nlp(derived).get_pipe("multitask").heads[task].labels == labels


@pytest.mark.parametrize(
    ("weights", "tasks", "expected"),
    [
        ({"intent_acc": 0.25, "slots_f": 0.25, "multitask_exact": 0.5}, ["intent"], {"intent_acc": 1.0}),
        (
            {"intent_acc": 0.1, "news/intent_macro_f": 0.3},
            ["intent"],
            {"intent_acc": 0.25, "news/intent_macro_f": 0.75},
        ),
        ({"multitask_score": 1.0}, ["slots"], {"slots_f": 1.0}),
        ({"ents_f": 0.4, "cats_score": 0.6}, ["slots"], {"ents_f": 1.0}),
        ({"multitask_score": 0.5, "parts_f": 0.5}, ["intent", "slots"], {"multitask_score": 1.0}),
        ({"slots_f": 1.0, "intent_acc": None}, ["intent"], {"intent_acc": 1.0}),
    ],
)
def test_score_weights_are_those_of_the_heads_own_scores(heads, weights, tasks, expected):
    found = score_weights(weights, heads, tasks)
    assert {key: value for key, value in found.items() if value} == pytest.approx(expected)
    # spaCy would add the default of a joint score that is not named
    assert {"multitask_score", "multitask_exact"} <= set(found)


def test_docs_without_gold_are_left_out_of_training(paths, tmp_path):
    docs = make_docs(20, 7)
    for doc in docs[:12]:
        doc.cats = {}
    config = toy_config(paths | {"train": write(tmp_path / "train.spacy", docs)})
    whole = whole_of(config)
    derived = derive(whole, tasks=["intent"])
    nlp = init_nlp(derived)
    (reader,) = resolve_dot_names(nlp.config.interpolate(), ["corpora.train"])
    assert len(list(reader(nlp))) == 8
    # all docs carry slots, so nothing is wrapped
    assert derive(whole, tasks=["slots"])["corpora"]["train"] == whole.config["corpora"]["train"]


@pytest.fixture
def several(tmp_path):
    """A config with a corpus of intents, one of slots, and one of both in which half of the docs have no intent."""
    docs = {"intents": make_docs(10, 0), "slots": make_docs(12, 1), "both": make_docs(8, 2)}
    for doc in docs["intents"]:
        doc.set_ents([], missing=[doc[:]], default="missing")
    for doc in (*docs["slots"], *docs["both"][:4]):
        doc.cats = {}
    files = {name: write(tmp_path / f"{name}.spacy", own) for name, own in docs.items()}
    settings = {"intents": {"heads": ["intent"]}, "slots": {"heads": ["slots"], "label_map": {"name": "who"}}}
    return make_config(files, **settings)


def test_corpora_without_gold_are_left_out(several):
    whole = whole_of(several)
    intent, slots = derive(whole, tasks=["intent"]), derive(whole, tasks=["slots"])
    assert list(intent["corpora"]["train"]["corpora"]) == ["intents", "both"]
    assert intent["corpora"]["train"]["corpora"]["both"]["only_gold"] is True
    assert "only_gold" not in intent["corpora"]["train"]["corpora"]["intents"]
    assert list(slots["corpora"]["train"]["corpora"]) == ["slots", "both"]
    assert slots["corpora"]["train"]["corpora"]["slots"]["label_map"] == {"name": "who"}
    assert list(intent["corpora"]["dev"]["corpora"]) == ["intents", "both"]
    nlp = init_nlp(intent)
    (reader,) = resolve_dot_names(nlp.config.interpolate(), ["corpora.train"])
    assert len(list(reader(nlp))) == 14
    assert nlp.meta["spacy_mtl"]["corpus_sizes"] == {"intents": 10, "both": 4}


def test_all_systems_are_judged_on_the_same_docs(several):
    whole = whole_of(several)
    texts = {}
    for kept in (["intent", "slots"], ["intent"], ["slots"]):
        config = derive(whole, tasks=kept)
        nlp = load_model_from_config(config, auto_fill=True)
        section = judged_reader(whole.config["corpora"]["dev"], kept)
        reader = registry.resolve({"reader": section})["reader"]
        texts[tuple(kept)] = [eg.reference.text for eg in reader(nlp)]
    assert len(texts[("intent",)]) == 30
    assert len(set(map(tuple, texts.values()))) == 1


def test_a_head_without_gold_cannot_be_derived(paths, tmp_path):
    docs = make_docs(10, 7)
    for doc in docs:
        doc.cats = {}
    whole = whole_of(toy_config(paths | {"dev": write(tmp_path / "dev.spacy", docs)}))
    with pytest.raises(ValueError, match=r"training\.dev_corpus: no doc carries gold of the heads \['intent'\]"):
        derive(whole, tasks=["intent"])


def test_parameter_groups_of_removed_heads_go(paths):
    config = toy_config(paths)
    patterns = {
        "encoder": "tok2vec|hashembed|maxout|multitask/(?!intent|slots)",
        "intent": "multitask/intent/",
        "slots": "multitask/slots/",
    }
    config["training"]["optimizer"] = {
        "@optimizers": "spacy_mtl.Optimizer.v1",
        "groups": {name: {"pattern": pattern, "learn_rate": 0.001} for name, pattern in patterns.items()},
    }
    derived = derive(whole_of(config), tasks=["slots"])
    assert list(derived["training"]["optimizer"]["groups"]) == ["encoder", "slots"]


def test_deriving_changes_nothing_in_the_whole(several):
    whole = whole_of(several)
    before = deepcopy(dict(whole.config))
    derive(whole, tasks=["intent"])
    assert dict(whole.config) == before


def test_settings_of_the_trainings_callbacks_keep_the_heads_that_stay(paths):
    callbacks = {
        "a": {"@callbacks": "spacy_mtl.HeadPatience.v1", "patience": {"intent": 4, "multitask/slots": 8},
              "freeze_when_done": {"slots": "head"}},
        "b": {"@callbacks": "spacy_mtl.SelectWorst.v1", "targets": {"slots": 0.5, "intent": 0.5}},
    }  # fmt: skip
    before_update = {"@callbacks": "spacy_mtl.Callbacks.v1", "callbacks": callbacks}
    weights = {"multitask_score": 0.0, "multitask_worst": 1.0}
    whole = whole_of(toy_config(paths, before_update=before_update, score_weights=weights))
    alone = derive(whole, tasks=["intent"])
    assert alone["training"]["before_update"]["callbacks"] == {
        "a": callbacks["a"] | {"patience": {"intent": 4}, "freeze_when_done": {}},
        "b": callbacks["b"] | {"targets": {"intent": 0.5}, "report": None, "split": "dev"},
    }
    assert alone["training"]["score_weights"]["intent_acc"] == 1.0
    both = derive(whole, tasks=["intent", "slots"])
    assert both["training"]["score_weights"]["multitask_worst"] == 1.0
