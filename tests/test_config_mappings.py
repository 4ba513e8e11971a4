"""Keys with "=" in settings: a list of pairs, and an error for what confection makes of a dict."""

import pytest
import spacy
from multi import make_config, write
from spacy.util import load_model_from_config, registry
from thinc.api import Config

from spacy_mtl.config_mappings import read_mapping


def test_a_list_of_pairs_survives_a_config_file(tmp_path):
    text = '[reader]\n@readers = "spacy_mtl.UnlabelledCorpus.v1"\npath = "x.txt"\ncats = [["genre=email", 1.0]]\n'
    for config in (Config().from_str(text), Config().from_str(Config().from_str(text).to_str()).interpolate()):
        assert registry.resolve(config)["reader"].cats == {"genre=email": 1.0}


def test_a_split_key_is_named(tmp_path):
    """What is read is right, but a config is written and read again whenever it is interpolated."""
    text = '[reader]\n@readers = "spacy_mtl.UnlabelledCorpus.v1"\npath = "x.txt"\ncats = {"genre=email": 1.0}\n'
    with pytest.raises(ValueError, match=r"UnlabelledCorpus.v1: cats .* \[\[\"genre=email\",1.0\]\]"):
        registry.resolve(Config().from_str(text).interpolate())


def test_class_weights():
    head = {"@mtl_heads": "spacy_mtl.DocClassifier.v1", "class_weights": {"genre=email": 2.0}}
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"heads": {"genre": head | {"class_weights": [["genre=email", 2.0]]}}})
    loaded = load_model_from_config(nlp.config)
    assert loaded.get_pipe("multitask").heads["genre"].class_weights == {"genre=email": 2.0}
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"heads": {"genre": head}})
    with pytest.raises(ValueError, match=r"DocClassifier: class_weights .* list of pairs"):
        load_model_from_config(Config().from_str(nlp.config.to_str()))


def test_label_map(tmp_path):
    nlp = spacy.blank("en")
    doc = nlp.make_doc("some text")
    doc.cats = {"genre=email": 1.0, "play": 0.0}
    config = make_config({"mails": write(tmp_path / "mails.spacy", [doc])})
    section = config["corpora"]["train"]["corpora"]["mails"]
    section["label_map"] = [["genre=email", "ask"]]
    loaded = load_model_from_config(config, auto_fill=True)
    reader = registry.resolve(loaded.config.interpolate()["corpora"])["train"]
    (example,) = reader.sources["mails"](loaded)
    assert example.reference.cats == {"ask": 1.0, "play": 0.0}
    section["label_map"] = {"genre=email": "ask"}
    with pytest.raises(ValueError, match=r"corpus 'mails': label_map .* \[\[\"genre=email\",\"ask\"\]\]"):
        registry.resolve(config.interpolate()["corpora"])


@pytest.mark.parametrize("setting", ["text", [["a"]], [[1, 2]], 3])
def test_no_mapping(setting):
    with pytest.raises(ValueError, match="expected a dict, or a list of pairs"):
        read_mapping(setting, "name")


def test_labels_with_an_equals_sign_are_no_mistake():
    assert read_mapping({"a": "b=c", "d": "x = y"}, "name") == {"a": "b=c", "d": "x = y"}
