"""Configs proposed from data: real corpora, several at once, and data that lacks something."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import spacy
from multi import write as write_docs
from pipelines import make_examples
from spacy.tokens import Doc, DocBin, Span
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from spacy.util import load_config_from_str, registry

from spacy_mtl.config_writer import proposed_heads
from spacy_mtl.config_writer.corpus_docs import CorpusDocs
from spacy_mtl.config_writer.proposed_heads import find_label_maps, propose_heads
from spacy_mtl.config_writer.request import Request
from spacy_mtl.config_writer.request_options import RequestOptions
from spacy_mtl.config_writer.training_numbers import choose_numbers, choose_sampler
from spacy_mtl.config_writer.write_config import write_config
from spacy_mtl.protocols.head_preset import Offer

HEADS = {
    "snips": {"textcat": "textcat", "ner": "ner"},
    "hwu64": {"action": "textcat", "scenario": "textcat", "ner": "ner"},
    "ewt": {
        "genre": "textcat",
        "lemma": "lemmatizer",
        "morph": "morph",
        "ner": "ner",
        "parser": "parser",
        "pos": "pos",
        "tag": "tagger",
    },
    "cooking": {"textcat_multilabel": "textcat_multilabel"},
    "emobank": {"numbers": "regressor", "genre": "textcat"},
    "nlupp_banking": {"textcat_multilabel": "textcat_multilabel", "ner": "ner"},
    "crossre_ai": {"ner": "ner", "relations": "relations"},
    "wnut17": {"ner": "ner"},
    "gsdsimp": {
        "lemma": "lemmatizer",
        "morph": "morph",
        "ner": "ner",
        "parser": "parser",
        "pos": "pos",
        "tag": "tagger",
    },
}
LINKS = {
    "snips": {"ner": {"condition_on": "textcat", "consistent_with": "textcat"}},
    "hwu64": {"ner": {"condition_on": ["action", "scenario"]}},
    "crossre_ai": {"relations": {"depends_on": "ner"}},
}


def few(source: Path, target: Path, start: int, stop: int) -> Path:
    """Some docs of a real file."""
    docs = list(DocBin().from_disk(source).get_docs(spacy.blank("en").vocab))
    return write_docs(target, docs[start:stop])


@pytest.fixture
def small(data_dir, tmp_path):
    """A function that makes a folder with train and dev of some docs of a real corpus."""

    def make(name):
        source = data_dir / name / "dev.spacy"
        for split, start, stop in (("train", 0, 150), ("dev", 150, 190)):
            few(source, tmp_path / name / f"{split}.spacy", start, stop)
        return tmp_path / name

    return make


def from_folder(folder, **options):
    return write_config(RequestOptions(from_data=(folder / "train.spacy", folder / "dev.spacy"), **options).read(), "-")


def train_two_steps(text):
    """Train a config as `spacy train` does. RETURNS: The pipeline and the rows of its log."""
    config = load_config_from_str(text)
    config["training"].update(max_steps=2, eval_frequency=1)
    rows = []
    registry.loggers.register("test_rows.v1", func=lambda: lambda nlp, *_: (rows.append, lambda: None))
    config["training"]["logger"] = {"@loggers": "test_rows.v1"}
    nlp = init_nlp(config)
    train(nlp, None)
    return nlp, rows


# the others take two minutes
QUICK = ("snips", "ewt")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in HEADS]
)
def test_a_real_corpus_trains_at_once(name, small):
    written = from_folder(small(name), lang="zh" if name == "gsdsimp" else "en")
    assert {head.name: head.kind for head in written.plan.heads} == HEADS[name]
    for head in written.plan.heads:
        named = {key: value for key, value in head.options.items() if key in ("condition_on", "consistent_with")}
        assert LINKS.get(name, {}).get(head.name, named or {}).items() <= head.options.items()
        assert bool(named) == (head.name in LINKS.get(name, {}) and name != "crossre_ai")
    assert not written.plan.warnings
    nlp, rows = train_two_steps(written.text)
    heads = nlp.get_pipe("multitask").heads
    final = next(row for row in reversed(rows) if row)
    for head in heads:
        assert np.isfinite(final["losses"][f"multitask/{head}"])
        assert final["other_scores"][f"{head}_{heads[head].main_score}"] is not None


def test_three_real_corpora_train_at_once(small):
    folders = {name: small(name) for name in ("snips", "wnut17", "cooking")}
    options = RequestOptions(corpus=[f"{name}={folder}" for name, folder in folders.items()])
    written = write_config(options.read(), "-")
    assert {corpus.name: corpus.heads for corpus in written.plan.corpora} == {
        "snips": ["textcat", "snips_ner"],
        "wnut17": ["wnut17_ner"],
        "cooking": ["textcat_multilabel"],
    }
    config = load_config_from_str(written.text)
    heads = config["components"]["multitask"]["heads"]
    assert heads["wnut17_ner"]["spans_key"] == "wnut17_ner"
    assert heads["snips_ner"]["spans_key"] is None
    nlp, _ = train_two_steps(written.text)
    assert set(nlp.meta["spacy_mtl"]["mix"]) == set(folders)


def test_named_heads_get_numbers_from_the_data(small):
    written = from_folder(small("snips"), head=["intent:textcat", "slots:ner:condition_on=intent"])
    config = load_config_from_str(written.text)
    assert list(config["components"]["multitask"]["heads"]) == ["intent", "slots"]
    # only what the user named
    assert config["components"]["multitask"]["heads"]["slots"]["consistent_with"] is None
    weights = config["components"]["multitask"]["weighting"]["weights"]
    assert weights["intent"] == 1.0
    # the docs have 10.2 tokens on average
    assert weights["slots"] == 5.1
    assert [head.n_train for head in written.plan.heads] == [150, 150]


@pytest.fixture
def docs():
    return [eg.reference for eg in make_examples(spacy.blank("en"))] * 5


def test_dev_that_lacks_gold_is_reported_and_not_scored(docs, tmp_path):
    write_docs(tmp_path / "train.spacy", docs)
    vocab = docs[0].vocab
    plain = [Doc(vocab, words=[token.text for token in doc]) for doc in docs]
    for one, other in zip(plain, docs, strict=True):
        one.cats = other.cats
    write_docs(tmp_path / "dev.spacy", plain)
    written = from_folder(tmp_path)
    (warning,) = written.plan.warnings
    assert "head 'ner': dev (" in warning
    assert "add such docs to dev" in warning
    assert "# " in written.text
    assert "Dev has no gold for it, so that it is not scored." in written.text
    weights = load_config_from_str(written.text)["training"]["score_weights"]
    assert weights["ner_f"] == 0.0
    assert sum(weights.values()) == pytest.approx(1.0)


def test_docs_without_annotation_are_refused(docs, tmp_path):
    plain = [Doc(docs[0].vocab, words=["a"])]
    for split in ("train", "dev"):
        write_docs(tmp_path / f"{split}.spacy", plain)
    with pytest.raises(
        ValueError, match=r"no doc has annotation that a head learns from; the kinds of heads are .*ner"
    ):
        from_folder(tmp_path)
    with pytest.raises(ValueError, match=r"head 'x': no doc of .*train.spacy carries its annotation \(token.tag\)"):
        from_folder(tmp_path, head=["x:tagger"])


def test_a_corpus_that_no_head_learns_from_is_refused(docs, tmp_path):
    plain = [Doc(docs[0].vocab, words=["a"])]
    for name, own in (("full", docs), ("empty", plain)):
        for split in ("train", "dev"):
            write_docs(tmp_path / name / f"{split}.spacy", own)
    corpora = [f"{name}={tmp_path / name}" for name in ("full", "empty")]
    for heads in ([], ["slots:ner"]):
        with pytest.raises(ValueError, match=r"corpus 'empty': no head finds gold in .*train.spacy"):
            write_config(RequestOptions(corpus=corpora, head=heads).read(), "-")


def test_files_that_can_not_be_read_are_refused(docs, tmp_path):
    write_docs(tmp_path / "train.spacy", docs)
    with pytest.raises(ValueError, match=r"there is no file .*dev.spacy"):
        from_folder(tmp_path)
    (tmp_path / "dev.spacy").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"dev.spacy is no complete .spacy file"):
        from_folder(tmp_path)
    table = tmp_path / "dev.jsonl"
    table.write_text("{}")
    with pytest.raises(ValueError, match=r"dev.jsonl is no .spacy file; make one with: python -m spacy mtl convert"):
        write_config(RequestOptions(from_data=(tmp_path / "train.spacy", table)).read(), "-")


def corpus(name, labels, size=4):
    """A corpus whose docs have entities of these types."""
    nlp, examples = spacy.blank("en"), []
    for number in range(size):
        doc = Doc(nlp.vocab, words=["a", "b", "c"])
        doc.set_ents([Span(doc, 0, 1, labels[number % len(labels)])])
        examples.append(spacy.training.Example(doc, doc))
    return CorpusDocs(name, examples)


def test_the_same_labels_in_another_case_are_one_head_with_a_label_map():
    found, warnings = propose_heads([corpus("a", ["date", "time", "city"]), corpus("b", ["DATE", "time"])])
    assert [(one.plan.name, one.corpora) for one in found] == [("ner", ["a", "b"])]
    assert find_label_maps(found) == {"b": {"DATE": "date"}}
    assert not warnings


def test_labels_that_differ_in_their_case_alone_stay_apart():
    """Some tag sets have N and n."""
    found, _ = propose_heads([corpus("a", ["N", "n", "V"]), corpus("b", ["N", "n", "v"])])
    assert find_label_maps(found) == {"b": {"v": "V"}}


def test_other_labels_are_a_head_of_their_own():
    found, warnings = propose_heads([corpus("a", ["X", "Y"]), corpus("b", ["Z"]), corpus("c", ["x", "y"])])
    assert [(one.plan.name, one.corpora, one.plan.options) for one in found] == [
        ("a_ner", ["a", "c"], {}),
        ("b_ner", ["b"], {"spans_key": "b_ner"}),
    ]
    assert not warnings


def test_classes_with_the_name_of_another_head_are_named_by_their_kind():
    doc = Doc(spacy.blank("en").vocab, words=["a"], tags=["X"])
    doc.cats = {"tag=a": 1.0, "tag=b": 0.0}
    found, _ = propose_heads([CorpusDocs("", [spacy.training.Example(doc, doc)])])
    assert [one.plan.name for one in found] == ["tag_textcat", "tag_tagger"]


def test_heads_that_can_only_write_to_one_place_are_joined_with_a_warning():
    def tagged(name, tag):
        doc = Doc(spacy.blank("en").vocab, words=["a"], tags=[tag])
        return CorpusDocs(name, [spacy.training.Example(doc, doc)])

    found, (warning,) = propose_heads([tagged("a", "X"), tagged("b", "Z")])
    assert [(one.plan.name, one.corpora) for one in found] == [("tag", ["a", "b"])]
    assert "head 'tag': the labels of corpus 'b' are others than those of a" in warning


def sized(name, n_docs, length):
    doc = Doc(spacy.blank("en").vocab, words=["a"] * length)
    return CorpusDocs(name, [spacy.training.Example(doc, doc)] * n_docs)


@pytest.mark.parametrize(
    ("request_", "n_docs", "length", "values"),
    [
        (Request(), 10_000, 10, {"training.max_steps": 4000}),
        (Request(), 1_000_000, 10, {"training.max_steps": 4800}),
        (Request(), 10, 10, {"training.max_steps": 1200}),
        (Request(optimize="accuracy"), 10_000, 10, {"training.max_steps": 8000}),
        (Request(transformer="x"), 10_000, 10, {"training.max_steps": 1900}),
        (Request(transformer="x", optimize="accuracy"), 10_000, 10, {"training.max_steps": 3200}),
        (Request(transformer="x"), 10, 10, {"training.max_steps": 600}),
        (Request(steps=7), 10_000, 10, {}),
        (
            Request(),
            2_000,
            100,
            {"nlp.batch_size": 64, "training.batcher.size": 800, "training.max_steps": 4800},
        ),
        (Request(transformer="x", steps=7), 10, 100, {"nlp.batch_size": 64}),
    ],
)
def test_numbers_follow_from_the_size(request_, n_docs, length, values):
    numbers = choose_numbers(request_, [sized("a", n_docs, length)])
    assert numbers.values == values
    assert numbers.why.keys() == values.keys()


def test_a_small_corpus_is_not_drowned():
    assert choose_sampler([sized("a", 10, 10), sized("b", 79, 10)])[0]["@mtl_samplers"] == "spacy_mtl.Proportional.v1"
    section, why = choose_sampler([sized("a", 10, 10), sized("b", 81, 10)])
    assert section == {"@mtl_samplers": "spacy_mtl.Temperature.v1", "tau": 2.0}
    assert "a 100, b 810" in why


def test_a_new_preset_offers_itself(docs, tmp_path, monkeypatch):
    """A head of another package needs an entry point, and no change here."""
    preset = SimpleNamespace(
        head="spacy_mtl.Regressor.v1",
        settings={"label_prefix": "play"},
        what="something new",
        note="",
        unit="docs",
        augmenter=None,
        offers=lambda docs: [Offer("shouting", "the docs shout")],
        links=lambda docs, others, *, pretrained: None,
        apart=lambda name: None,
    )
    presets = proposed_heads.presets()
    monkeypatch.setattr(proposed_heads, "presets", lambda: presets | {"shout": preset})
    found, _ = propose_heads([CorpusDocs("", [spacy.training.Example(doc, doc) for doc in docs])])
    assert {one.plan.name: one.plan.kind for one in found}["shouting"] == "shout"
