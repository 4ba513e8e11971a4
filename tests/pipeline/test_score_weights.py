"""What selects the best model is what the user named, or the log says otherwise."""

import pytest
import spacy
from multi import make_config, spacy_corpus, write
from pipelines import make_examples
from spacy.training.initialize import init_nlp
from spacy.util import load_config


@pytest.fixture
def config_path(tmp_path):
    """A config as users write it: nothing filled in, no score weights."""
    nlp = spacy.blank("en")
    corpus = write(tmp_path / "docs.spacy", (eg.reference for eg in make_examples(nlp)))
    config = make_config({"all": corpus}, max_epochs=1)
    config["corpora"] = {"train": spacy_corpus(corpus), "dev": spacy_corpus(corpus)}
    del config["training"]["score_weights"]
    config.to_disk(tmp_path / "config.cfg")
    return tmp_path / "config.cfg"


@pytest.fixture
def logged(caplog):
    return lambda: [record.getMessage() for record in caplog.records if "score_weights" in record.getMessage()]


def init(path, weights, *, pipe=None):
    """Initialise as `spacy train` does."""
    config = load_config(path, interpolate=False)
    config["training"].setdefault("score_weights", {})
    if not weights:
        del config["training"]["score_weights"]
    if pipe:
        config["nlp"]["pipeline"] = [*config["nlp"]["pipeline"], pipe]
        config["components"][pipe] = {"factory": pipe}
    config = config.merge({"training": {"score_weights": weights}}) if weights else config
    return init_nlp(config)


@pytest.mark.parametrize(
    ("weights", "terms"),
    [
        ({"slots_f": 1.0}, "0.5 * multitask_score + 0.5 * slots_f"),
        ({"multitask_exact": 1.0}, "0.5 * multitask_score + 0.5 * multitask_exact"),
        ({"slots_f": 0.5, "intent_acc": 0.5, "ents_p": None}, "0.5 * multitask_score + 0.25 * slots_f"),
    ],
)
def test_a_default_weight_beside_named_ones_is_logged(config_path, logged, weights, terms):
    nlp = init(config_path, weights)
    (message,) = logged()
    named = ", ".join(key for key in nlp.config["training"]["score_weights"] if weights.get(key))
    assert f"names {named} but not multitask_score" in message
    assert terms in message
    assert "Set multitask_score = 0.0" in message


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"multitask_score": 0.0, "slots_f": 1.0},
        {"multitask_score": 0.5, "slots_f": 0.5},
        {"multitask_score": None, "slots_f": 1.0},
        {"slots_f": 0.0},
    ],
)
def test_named_weights_and_defaults_alone_are_not(config_path, logged, weights):
    nlp = init(config_path, weights)
    assert logged() == []
    found = nlp.config.interpolate()["training"]["score_weights"]
    expected = {"multitask_score": 1.0, "multitask_exact": 0.0} | weights
    assert found == expected


def test_defaults_of_other_components_are_not_the_users(config_path, logged):
    nlp = init(config_path, {}, pipe="ner")
    assert logged() == []
    assert nlp.config["training"]["score_weights"]["ents_f"] == 0.5


def test_the_filled_config_names_the_default_as_a_plain_number(config_path, tmp_path, logged):
    nlp = init(config_path, {"slots_f": 1.0})
    nlp.config.to_disk(tmp_path / "filled.cfg")
    assert logged()
    again = load_config(tmp_path / "filled.cfg")
    assert again["training"]["score_weights"] == {"multitask_score": 0.5, "multitask_exact": 0.0, "slots_f": 0.5}
