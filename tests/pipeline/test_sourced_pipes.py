"""`spacy train` with pipes that are sourced from another pipeline, frozen, or both."""

from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import spacy
from multi import make_config, write
from pipelines import ENCODER, LISTENER, has_moved, heads_config, make_examples, make_nlp, weights_of
from spacy.cli.init_pipeline import init_labels_cli
from spacy.tokens import DocBin
from spacy.training.initialize import init_nlp
from spacy.training.loop import train

from spacy_mtl.readers.multi_corpus import N_SPACY_SAMPLE

TWO = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})


@pytest.fixture
def trained(tmp_path):
    """A saved pipeline of a tok2vec and a multitask that listens to it, both trained a little."""
    nlp = make_nlp(TWO, listener=True)
    optimizer = nlp.resume_training()
    for _ in range(5):
        nlp.update(make_examples(nlp), sgd=optimizer)
    nlp.to_disk(tmp_path / "trained")
    return tmp_path / "trained"


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.spacy"
    DocBin(docs=[eg.reference for eg in make_examples(spacy.blank("en"))] * 5).to_disk(path)
    return path


def listening(name="multitask"):
    return {
        "factory": name,
        "model": {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER},
        "heads": deepcopy(TWO),
    }


def sourced(path, name, **settings):
    return {"source": str(path), "component": name, **settings}


def config_of(corpora, components, frozen=(), annotating=(), **settings):
    """A training config with these components in this order."""
    config = make_config(corpora, **settings)
    config["nlp"]["pipeline"] = list(components)
    config["components"] = deepcopy(components)
    config["training"]["frozen_components"] = list(frozen)
    config["training"]["annotating_components"] = list(annotating)
    config["training"]["score_weights"] = {}
    return config


def train_two(config, path):
    path.mkdir()
    nlp = init_nlp(config)
    before = {name: weights_of(pipe) for name, pipe in nlp.pipeline}
    train(nlp, path)
    loaded = spacy.load(path / "model-last")
    return nlp, {name: has_moved(before[name], weights_of(loaded.get_pipe(name))) for name in before}


def test_a_sourced_tok2vec_learns_on(trained, corpus, tmp_path):
    config = config_of({"all": corpus}, {"tok2vec": sourced(trained, "tok2vec"), "multitask": listening()})
    _, moved = train_two(config, tmp_path / "out")
    assert moved == {"tok2vec": True, "multitask": True}


def test_a_frozen_tok2vec_that_annotates(trained, corpus, tmp_path):
    components = {"tok2vec": sourced(trained, "tok2vec"), "multitask": listening()}
    config = config_of({"all": corpus}, components, frozen=["tok2vec"], annotating=["tok2vec"])
    _, moved = train_two(config, tmp_path / "out")
    assert moved == {"tok2vec": False, "multitask": True}
    source, loaded = spacy.load(trained), spacy.load(tmp_path / "out" / "model-last")
    text = "play some jazz in Berlin"
    assert np.array_equal(source.get_pipe("tok2vec")(source.make_doc(text)).tensor, loaded(text).tensor)


def test_a_sourced_multitask_with_its_tok2vec(trained, corpus, tmp_path):
    components = {name: sourced(trained, name) for name in ("tok2vec", "multitask")}
    nlp, moved = train_two(config_of({"all": corpus}, components), tmp_path / "out")
    assert moved == {"tok2vec": True, "multitask": True}
    assert nlp.get_pipe("multitask").label_data["slots"] == ["GENRE", "LOC", "PER"]


def test_a_sourced_multitask_whose_listener_is_replaced(trained, corpus, tmp_path):
    components = {"multitask": sourced(trained, "multitask", replace_listeners=["model.tok2vec"])}
    expected = spacy.load(trained)("play some jazz in Berlin").cats
    config = config_of({"all": corpus}, components)
    found = init_nlp(config)("play some jazz in Berlin").cats
    assert found == pytest.approx(expected, abs=1e-5)
    _, moved = train_two(config, tmp_path / "out")
    assert moved == {"multitask": True}


def test_a_frozen_multitask_beside_a_new_pipe(trained, corpus, tmp_path):
    components = {name: sourced(trained, name) for name in ("tok2vec", "multitask")} | {"tagger": {"factory": "tagger"}}
    nlp = spacy.blank("en")
    doc = next(DocBin().from_disk(corpus).get_docs(nlp.vocab))
    doc = spacy.tokens.Doc(nlp.vocab, words=[t.text for t in doc], tags=["X"] * len(doc))
    tagged = write(tmp_path / "tagged.spacy", [doc] * 4)
    config = config_of({"all": tagged}, components, frozen=["tok2vec", "multitask"])
    _, moved = train_two(config, tmp_path / "out")
    assert moved == {"tok2vec": False, "multitask": False, "tagger": True}


def test_a_listener_without_a_pipe_is_still_told(trained, corpus):
    config = config_of({"all": corpus}, {"multitask": listening(), "tok2vec": sourced(trained, "tok2vec")})
    with pytest.raises(ValueError, match="none is a tok2vec"):
        init_nlp(config)


# initialisation from several corpora


@pytest.fixture
def corpora(tmp_path):
    """One corpus with intents, one with slots, whose last doc alone has a label that a sample would miss."""
    nlp = spacy.blank("en")
    common = [eg.reference for eg in make_examples(nlp, cats=False)] * (N_SPACY_SAMPLE // 2)
    last = nlp.make_doc("call Ada")
    last.set_ents([last.char_span(5, 8, label="RARE")], default="outside")
    return {
        "cats": write(tmp_path / "cats.spacy", [eg.reference for eg in make_examples(nlp, ents=False)] * 200),
        "ents": write(tmp_path / "ents.spacy", [*common, last]),
    }


@pytest.mark.parametrize("max_epochs", [-1, 1])
@pytest.mark.parametrize("frozen", [[], ["tok2vec"]])
def test_all_labels_are_found_beside_a_sourced_pipe(trained, corpora, max_epochs, frozen):
    components = {"tok2vec": sourced(trained, "tok2vec"), "multitask": listening()}
    settings = {"sampler": "Temperature", "max_epochs": max_epochs}
    nlp = init_nlp(config_of(corpora, components, frozen=frozen, annotating=frozen, **settings))
    assert "RARE" in nlp.get_pipe("multitask").label_data["slots"]


@pytest.fixture
def many_labels(tmp_path):
    """More labels than spaCy's sample of a stream has docs, each in a doc of its own."""
    nlp = spacy.blank("en")
    docs = []
    for number in range(N_SPACY_SAMPLE + 20):
        doc = nlp.make_doc("call Ada")
        doc.set_ents([doc.char_span(5, 8, label=f"L{number}")], default="outside")
        docs.append(doc)
    cats = [eg.reference for eg in make_examples(nlp, ents=False)]
    return {"cats": write(tmp_path / "cats.spacy", cats), "ents": write(tmp_path / "ents.spacy", docs)}


def test_more_labels_than_docs_in_the_sample_of_a_stream(many_labels, caplog):
    settings = {"sampler": "Temperature", "max_epochs": -1}
    components = {"tok2vec": {"factory": "tok2vec", "model": ENCODER}, "multitask": listening(), "other": listening()}
    nlp = init_nlp(config_of(many_labels, components, **settings))
    for name in ("multitask", "other"):
        assert len(nlp.get_pipe(name).label_data["slots"]) == N_SPACY_SAMPLE + 20
    assert "spread over" not in caplog.text


def test_a_pipe_of_spacy_that_sees_a_part_of_the_labels_is_named(many_labels, caplog):
    components = {
        "tok2vec": {"factory": "tok2vec", "model": ENCODER},
        "multitask": listening(),
        "ner": {"factory": "ner"},
    }
    nlp = init_nlp(config_of(many_labels, components, sampler="Temperature", max_epochs=-1))
    assert len(nlp.get_pipe("ner").labels) < N_SPACY_SAMPLE
    assert "so the components ['ner'] may not see all of them" in caplog.text


def test_a_pipe_of_spacy_finds_all_labels_beside_a_sourced_multitask(trained, corpora):
    """It is initialised when all components of the plugin have been, long since."""
    components = {name: sourced(trained, name) for name in ("tok2vec", "multitask")} | {"ner": {"factory": "ner"}}
    nlp = init_nlp(config_of(corpora, components))
    assert "RARE" in nlp.get_pipe("ner").labels


def test_a_second_initialisation_reads_everything_too(corpora):
    nlp = init_nlp(make_config(corpora))
    reader = spacy.registry.resolve({"train": nlp.config.interpolate()["corpora"]["train"]})["train"]
    passes = []

    def read():
        passes.append(list(reader(nlp)))
        return passes[-1][:N_SPACY_SAMPLE]

    nlp.initialize(read)
    assert any(ent.label_ == "RARE" for eg in passes[-1][:10] for ent in eg.reference.ents)
    assert "mix" not in nlp.meta.get("spacy_mtl", {})


def test_training_after_it_samples(trained, corpora):
    """The sourced pipes are enabled again: what the reader then gives is a draw, and is counted."""
    components = {"tok2vec": sourced(trained, "tok2vec"), "multitask": listening()}
    nlp = init_nlp(config_of(corpora, components))
    assert "mix" not in nlp.meta.get("spacy_mtl", {})
    train(nlp)
    assert sum(nlp.meta["spacy_mtl"]["mix"].values()) > 0


def test_all_pipes_sourced_samples_from_the_start(trained, corpora):
    components = {name: sourced(trained, name) for name in ("tok2vec", "multitask")}
    nlp = init_nlp(config_of({"ents": corpora["cats"]}, components))
    train(nlp)
    assert sum(nlp.meta["spacy_mtl"]["mix"].values()) > 0


def test_labels_from_init_labels_beside_a_sourced_pipe(trained, corpora, tmp_path):
    components = {"tok2vec": sourced(trained, "tok2vec"), "multitask": listening()}
    config_of(corpora, components, max_epochs=1).to_disk(tmp_path / "config.cfg")
    init_labels_cli(SimpleNamespace(args=[]), tmp_path / "config.cfg", tmp_path / "labels", None, False, -1)
    labels = spacy.util.load_config(tmp_path / "config.cfg")
    read = {"@readers": "spacy.read_labels.v1", "path": str(tmp_path / "labels" / "multitask.json")}
    labels["initialize"]["components"] = {"multitask": {"labels": read}}
    nlp = init_nlp(labels)
    assert nlp.get_pipe("multitask").label_data["slots"] == ["GENRE", "LOC", "PER", "RARE"]
