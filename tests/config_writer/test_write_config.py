"""Configs from requests: the templates, every option, and what does not go together."""

import pytest
from spacy.util import load_config_from_str, load_model_from_config

from spacy_mtl.config_writer.commented_config import as_text, from_text, overlay, read_template
from spacy_mtl.config_writer.config_plan import CorpusPlan
from spacy_mtl.config_writer.request_options import RequestOptions
from spacy_mtl.config_writer.sections import corpus_section
from spacy_mtl.config_writer.write_config import write_config

JOINT = ["intent:textcat", "slots:ner:condition_on=intent"]
CORPORA = ["a=data/a:intent", "b=data/b:intent,slots", "c=data/c/gold.spacy:slots:intent"]


def write(**options):
    """The text and the config that options stand for."""
    text = write_config(RequestOptions(**options).read(), options.get("output", "-")).text
    return text, load_config_from_str(text)


def is_complete(config):
    """Whether `spacy init fill-config` leaves a config alone."""
    before = config.to_str()
    filled = load_model_from_config(config, auto_fill=True, validate=False).config
    return load_model_from_config(filled).config.to_str() == before


@pytest.mark.parametrize("optimize", ["speed", "accuracy"])
@pytest.mark.parametrize("transformer", [None, "some/model"])
@pytest.mark.parametrize("corpora", [(), CORPORA])
def test_configs_are_complete(optimize, transformer, corpora):
    if transformer:
        pytest.importorskip("transformers")
    _, config = write(head=JOINT, optimize=optimize, transformer=transformer, corpus=corpora)
    assert is_complete(config)
    assert sum(config["training"]["score_weights"].values()) == pytest.approx(1.0)
    assert list(config["components"]["multitask"]["heads"]) == ["intent", "slots"]
    assert config["nlp"]["pipeline"] == (["multitask"] if transformer else ["tok2vec", "multitask"])
    swaps = config["corpora"]["train"].get("corpora", {}).get("gold" if not corpora else "b", {}).get("augmenter")
    assert bool(swaps) == (optimize == "accuracy")


def test_accuracy_without_an_augmenter_reads_one_corpus():
    _, config = write(head=["intent:textcat"], optimize="accuracy")
    assert config["corpora"]["train"]["@readers"] == "spacy_mtl.Corpus.v1"
    assert config["training"]["max_epochs"] == 0
    assert config["components"]["tok2vec"]["model"]["width"] == 192


def test_several_corpora():
    text, config = write(
        head=JOINT, corpus=CORPORA, sampler="Temperature:tau=3.0", rename=["b:DATE=date,TIME=time"], steps=600
    )
    train, dev = config["corpora"]["train"], config["corpora"]["dev"]
    assert train["sampler"] == {"@mtl_samplers": "spacy_mtl.Temperature.v1", "tau": 3.0}
    assert {name: corpus["heads"] for name, corpus in train["corpora"].items()} == {
        "a": ["intent"],
        "b": ["intent", "slots"],
        "c": ["slots"],
    }
    assert list(dev["corpora"]) == ["a", "b"]
    assert train["corpora"]["b"]["label_map"] == dev["corpora"]["b"]["label_map"] == {"DATE": "date", "TIME": "time"}
    assert "label_map" not in train["corpora"]["a"]
    assert config["paths"]["corpora"] == "data"
    assert train["corpora"]["c"]["reader"]["path"] == "${paths.corpora}/c/gold.spacy"
    assert config["training"]["max_epochs"] == -1
    assert config["training"]["max_steps"] == 600
    weights = config["training"]["score_weights"]
    assert {key: weights[key] for key in ("a/intent_acc", "b/intent_acc")} == {"a/intent_acc": 0.0, "b/intent_acc": 0.0}
    assert weights["slots_f"] == weights["intent_acc"] == 0.5
    assert "# Of its labels only those of slots are learned; the scores on it are of intent." in text


def test_corpora_in_several_folders_have_a_path_each():
    _, config = write(head=JOINT, corpus=["a=x/a:intent", "b=y/other:slots"])
    assert {name: config["paths"][name] for name in ("a", "b")} == {"a": "x/a", "b": "y/other"}
    assert config["corpora"]["dev"]["corpora"]["b"]["reader"]["path"] == "${paths.b}/dev.spacy"


def test_labels_with_an_equals_sign_are_renamed_by_pairs():
    plan = CorpusPlan("a", "t", "d", ["g"], ["g"], label_map={"g=x": "x"})
    assert corpus_section(plan, "dev", "d", ["g"], [])["label_map"] == [["g=x", "x"]]


def test_weights_scores_and_settings():
    text, config = write(
        head=["tag:tagger", "pos:pos", "genre:textcat"],
        weight=["genre=0.1", "tag=2.0"],
        scores=["tag_acc=0.5", "genre_macro_f=0.5"],
        own_tokens=True,
        set=["training.dropout=0.25", "components.multitask.heads.pos.overwrite=true", "nlp.batch_size=8"],
    )
    assert config["components"]["multitask"]["weighting"]["weights"] == {"tag": 2.0, "pos": 1.0, "genre": 0.1}
    assert config["training"]["score_weights"] == {
        "multitask_score": 0.0,
        "multitask_exact": 0.0,
        "tag_acc": 0.5,
        "genre_macro_f": 0.5,
    }
    assert not config["corpora"]["train"]["gold_tokens"]
    assert not config["corpora"]["dev"]["gold_tokens"]
    assert config["training"]["dropout"] == 0.25
    assert config["components"]["multitask"]["heads"]["pos"]["overwrite"] is True
    assert config["nlp"]["batch_size"] == 8
    # the rule that the user overrode is no reason any more
    assert "A loss is per doc" not in text


def test_docs_and_tokens_get_different_weights():
    _, config = write(head=["tag:tagger", "pos:pos", "genre:textcat"])
    assert config["components"]["multitask"]["weighting"]["weights"] == {"tag": 1.0, "pos": 1.0, "genre": 0.25}
    text, config = write(head=["tag:tagger", "genre:textcat", "domain:domain_adversary:prefix=d"])
    assert config["components"]["multitask"]["weighting"]["weights"] == {"tag": 4.0, "genre": 1.0, "domain": 1.0}
    assert "A loss is per doc for genre, and per token for tag" in text


def test_evaluations_follow_the_steps():
    assert write(head=JOINT, steps=1200)[1]["training"]["eval_frequency"] == 100
    assert write(head=JOINT, steps=100)[1]["training"]["eval_frequency"] == 8
    assert write(head=JOINT, steps=1)[1]["training"]["eval_frequency"] == 1


def test_a_language_may_have_settings_of_its_own():
    _, config = write(head=["tag:tagger"], lang="zh")
    assert config["nlp"]["tokenizer"]["segmenter"] == "char"
    assert config["components"]["tok2vec"]["model"]["subword_features"] is False
    assert is_complete(config)


def test_comments_stand_before_what_they_are_about():
    lines = write(head=JOINT)[0].splitlines()
    at = lines.index("[components.multitask.heads.slots]")
    assert lines[at - 1] == "# Entities, from doc.ents."
    assert lines[lines.index("use_averages = true") - 1].startswith("# Evaluate and save the average")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": ["slots:ner:condition_on=intent"]}, "intent"),
        ({"head": ["one:pos", "two:pos"]}, "'two'.* is also predicted by head 'one'"),
        ({"head": ["slots:ner:consistent_with=tag", "tag:tagger"]}, "expected a doc classifier"),
        ({"head": JOINT, "weight": ["slot=1.0"]}, "no head 'slot'; the heads are intent, slots"),
        ({"head": JOINT, "scores": ["slot_f=1.0"]}, "'slot_f' is no score of a head.*heads intent, slots"),
        ({"head": JOINT, "scores": ["news/slots_f=1.0"]}, "'news/slots_f' is no score"),
        ({"head": JOINT, "set": ["training.dropout.rate=0.1"]}, "'dropout' is 0.3, which is a value and not a section"),
        ({"head": JOINT, "set": ["training.dropuot=0.1"]}, r"no such setting; \[training\] has .*dropout"),
        ({"head": JOINT, "set": ["trainin.dropout=0.1"]}, r"no such setting; \[trainin\] has nothing"),
        ({"head": JOINT, "set": ["training.dropout=high"]}, "dropout"),
        ({"head": JOINT, "set": ["corpora.dev.max_len=10"]}, "max_len"),
        ({"head": JOINT, "set": ["components.multitask.heads.slots.schema=BIO"]}, "schema"),
        ({"head": ["a.b:ner"]}, "the head name"),
        ({"head": ["slots:ner"], "corpus": ["a=a/train.spacy:slots"]}, "no corpus has a dev file"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        write(**options)


def test_a_section_that_names_another_function_replaces_the_old_one():
    old = {"a": {"@x": "one", "width": 1}, "b": {"c": 1, "d": 2}}
    assert overlay(old, {"a": {"@x": "two"}, "b": {"d": 3}}) == {"a": {"@x": "two"}, "b": {"c": 1, "d": 3}}
    assert old["b"] == {"c": 1, "d": 2}


def test_templates_keep_their_comments():
    template = from_text("# whole\n[a.b]\n# about c,\n# in two lines\nc = 1\nd = 2\n")
    assert template.comments == {"a.b": "whole", "a.b.c": "about c, in two lines"}
    assert template.config == {"a": {"b": {"c": 1, "d": 2}}}
    text = as_text(load_config_from_str("[a]\n[a.b]\nc = 1\n"), {**template.comments, "a.b.d": "gone"}, ["first"])
    assert text == "# first\n[a]\n\n# whole\n[a.b]\n# about c, in two lines\nc = 1\n"
    assert read_template("base").comments["training.score_weights"].startswith("What selects the best model")
