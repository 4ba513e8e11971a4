"""Heads, corpora and options as they stand on a command line."""

import pytest

from spacy_mtl.config_writer.corpus_spec import read_corpora, read_corpus
from spacy_mtl.config_writer.head_spec import presets, read_head, read_heads
from spacy_mtl.config_writer.option_texts import read_options, read_value
from spacy_mtl.config_writer.request_options import RequestOptions
from spacy_mtl.protocols.head_preset import HeadPreset


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("intent", "intent"),
        ("[intent, topic]", ["intent", "topic"]),
        ('["mean", "max"]', ["mean", "max"]),
        ("${training.max_steps}", "${training.max_steps}"),
        ('{"a": 1}', {"a": 1}),
    ],
)
def test_values_are_json_or_strings(text, value):
    assert read_value(text) == value


def test_commas_in_brackets_do_not_separate_options():
    text = 'condition_on=[intent,topic],scheme=BILUO,weights={"a": 1, "b": 2},label_prefix=genre='
    assert read_options(text, "x") == {
        "condition_on": ["intent", "topic"],
        "scheme": "BILUO",
        "weights": {"a": 1, "b": 2},
        "label_prefix": "genre=",
    }


def test_all_presets_are_presets_of_registered_heads():
    known = presets()
    assert {"textcat", "textcat_multilabel", "ner", "tagger", "pos", "morph", "morphologizer", "senter"} <= set(known)
    assert {"parser", "lemmatizer", "relations", "spancat", "regressor", "domain_adversary"} <= set(known)
    for name, preset in known.items():
        assert isinstance(preset, HeadPreset)
        read_head(f"x:{name}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("intent", "expected NAME:KIND"),
        (":textcat", "expected NAME:KIND"),
        ("intent:texcat", r"no kind 'texcat'; choose from .*ner, .*textcat, textcat_multilabel"),
        ("intent:textcat:exclusiv=false", r"no option 'exclusiv'; its options are exclusive, threshold, .*near_tokens"),
        ("intent:textcat:exclusive", r"'exclusive' is no option; expected NAME=VALUE"),
    ],
)
def test_heads_that_are_refused(text, message):
    with pytest.raises(ValueError, match=message) as error:
        read_head(text)
    assert f"--head {text}" in str(error.value)


def test_two_heads_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two heads have the name 'a'"):
        read_heads(["a:ner", "b:textcat", "a:tagger"])


def test_corpora():
    one = read_corpus("news=data/news/:slots,topic")
    assert (one.name, one.path, one.heads, one.dev_heads) == ("news", "data/news", ("slots", "topic"), one.heads)
    assert (one.folder, one.train_file, one.dev_file) == ("data/news", "train.spacy", "dev.spacy")
    file = read_corpus("news=data/news/gold.spacy:slots:slots,topic")
    assert (file.folder, file.train_file, file.dev_file) == ("data/news", "gold.spacy", None)
    assert file.dev_heads == ("slots", "topic")
    drive = read_corpus("news=C:\\data\\news:slots")
    assert (drive.path, drive.heads) == ("C:\\data\\news", ("slots",))
    assert read_corpus("news=data/news").heads == ()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["news"], "expected NAME=PATH"),
        (["a.b=data"], "no dot or slash in the name"),
        (["a=x:slots", "a=y:slots"], "two corpora have the name 'a'"),
        (["a=x:slots,topic"], "no head 'topic'; the heads are slots"),
        (["a=x:slots:topic"], "no head 'topic'; the heads are slots"),
    ],
)
def test_corpora_that_are_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        read_corpora(texts, ["slots"])


NER = {"head": ["slots:ner"]}
TWO = NER | {"corpus": ["a=x:slots", "b=y:slots"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "there are no heads; name them with --head NAME:KIND, or let --from-data propose"),
        (TWO | {"from_data": ("a", "b")}, "--from-data and --corpus are both set"),
        (NER | {"transformer_pipe": True}, "--transformer-pipe is set, but no transformer"),
        (NER | {"sampler": "Uniform"}, "--sampler is for several corpora"),
        (TWO | {"sampler": "Unifrm"}, r"no 'Unifrm'; choose from Annealed, .*Temperature, Uniform"),
        (TWO | {"sampler": "Temperature:beta=1"}, "no option 'beta'; its options are tau"),
        (TWO | {"rename": ["c:A=b"]}, "no corpus 'c'; the corpora are a, b"),
        (NER | {"weight": ["slots=high"]}, "slots is 'high', expected a number"),
        (NER | {"scores": ["slots_f"]}, "'slots_f' is no option; expected NAME=VALUE"),
        (NER | {"set": ["dropout=0.1"]}, "expected SECTION.KEY=VALUE"),
        (NER | {"set": ["training.dropout"]}, "expected SECTION.KEY=VALUE"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RequestOptions(**options).read()


def test_the_command_can_be_typed_again():
    options = RequestOptions(
        output="my config.cfg",
        head=["slots:ner:condition_on=[a,b]"],
        set=["training.dropout=0.2"],
        steps=100,
        own_tokens=True,
    )
    assert options.read().words == [
        "'my config.cfg'",
        "--lang en",
        "--head 'slots:ner:condition_on=[a,b]'",
        "--steps 100",
        "--own-tokens",
        "--set training.dropout=0.2",
    ]
