"""`python -m spacy mtl debug-data`: the numbers, the findings, the exit code, and its speed."""

import json
import random
import time
from itertools import combinations

import pytest
import spacy
from multi import make_config, write
from pipelines import make_examples
from spacy.cli import app
from spacy.tokens import Doc
from spacy.training import Corpus
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)
from spacy_mtl.debug_data.as_json import as_json
from spacy_mtl.debug_data.findings import audit

NLP = spacy.blank("en")


def docs(**gold):
    return [eg.reference for eg in make_examples(NLP, **gold)]


@pytest.fixture
def corpora(tmp_path):
    """One corpus with intents, one with slots, six times the four docs each."""
    return {
        "cats": write(tmp_path / "cats.spacy", docs(ents=False) * 6),
        "ents": write(tmp_path / "ents.spacy", docs(cats=False) * 6),
    }


def audited(corpora, dev=None, **settings):
    """The audit of a config that trains on these corpora. `dev`: docs of a plain dev corpus instead of the same."""
    config = make_config(corpora, **settings)
    if dev is not None:
        path = write(corpora["cats"].with_name("dev.spacy"), dev)
        config["corpora"]["dev"] = {"@readers": "spacy.Corpus.v1", "path": str(path)}
    return audit(config)


def part_of(result, split, corpus):
    return next(part for part in result.parts if (part.split, part.corpus) == (split, corpus))


def said(messages, *parts):
    return any(all(part in message for part in parts) for message in messages)


def test_counts(corpora):
    result = audited(corpora, ents={"heads": ["slots"]})
    part = part_of(result, "train", "cats")
    assert (part.heads["intent"].docs, part.heads["intent"].units) == (24, 24)
    assert part.heads["intent"].labels == {"play": 12, "ask": 12}
    assert part.heads["slots"].docs == 0
    part = part_of(result, "train", "ents")
    assert part.heads["intent"].docs == 0
    assert (part.heads["slots"].docs, part.heads["slots"].units) == (24, 6 * 14)
    assert part.heads["slots"].labels == {"GENRE": 6, "LOC": 12, "PER": 12}
    assert part.lengths == [5, 4, 2, 3] * 6
    assert result.shared_texts(part_of(result, "dev", "ents")) == 24
    assert result.errors == []


def test_heads_that_a_corpus_excludes_see_nothing(corpora):
    corpora["both"] = write(corpora["cats"].with_name("both.spacy"), docs())
    part = part_of(audited(corpora, both={"heads": ["intent"]}), "train", "both")
    assert (part.heads["intent"].docs, part.heads["slots"].docs, part.unused) == (4, 0, 0)


def test_token_attributes(tmp_path):
    doc = Doc(NLP.vocab, words=["a", "b", "a"], tags=["X", "Y", "X"], sent_starts=[True, False, True])
    config = make_config({"tags": write(tmp_path / "tags.spacy", [doc] * 3)})
    makers = {"tag": {"attr": "tag"}, "sents": {"attr": "sent_start"}}
    heads = {name: {"@mtl_heads": "spacy_mtl.Tagger.v1"} | options for name, options in makers.items()}
    config["components"]["multitask"]["heads"] = heads
    part = part_of(audit(config), "train", "tags")
    assert part.heads["tag"].labels == {"X": 6, "Y": 3}
    assert part.heads["sents"].labels == {"S": 6, "I": 3}
    assert part.heads["tag"].units == part.heads["sents"].units == 9


def test_a_head_that_would_never_train(corpora):
    result = audited({"cats": corpora["cats"]})
    assert said(result.errors, "head 'slots'", "'train'", "never train", "label_map")
    assert not said(result.errors, "head 'intent'")


def test_a_classifier_with_one_class(corpora):
    doc = NLP.make_doc("play")
    doc.cats = {"play": 1.0}
    result = audited(
        {"ents": corpora["ents"], "one": write(corpora["cats"].with_name("one.spacy"), [doc] * 9)},
    )
    assert said(result.errors, "head 'intent'", "only label is 'play'")


def test_a_corpus_for_no_head(corpora):
    path = write(corpora["cats"].with_name("raw.spacy"), [NLP.make_doc("nothing here")] * 3)
    result = audited({**corpora, "raw": path})
    assert said(result.errors, "corpus 'raw'", "none of its 3 docs")


def test_docs_for_no_head(corpora):
    path = write(corpora["cats"].with_name("some.spacy"), [*docs(), NLP.make_doc("nothing here")])
    result = audited({**corpora, "some": path})
    assert said(result.warnings, "train, corpus 'some'", "1 of 5 docs")
    assert not said(result.errors, "some")


def test_labels_of_dev_alone_and_rare_ones(corpora):
    odd = NLP.make_doc("call Ada")
    odd.set_ents([odd.char_span(5, 8, label="NEW")], default="outside")
    odd.cats = {"play": 0.0, "ask": 0.0, "call": 1.0}
    corpora["few"] = write(corpora["cats"].with_name("few.spacy"), [odd] * 4)
    result = audited({name: corpora[name] for name in ("cats", "ents")}, dev=[odd, *docs()])
    assert said(result.warnings, "head 'slots'", "dev or test only: NEW")
    assert said(result.warnings, "head 'intent'", "dev or test only: call")
    assert said(result.warnings, "dev, corpus 'dev'", "4 of 5 texts", "'train'")
    result = audited(corpora)
    assert said(result.warnings, "head 'slots'", "1 labels have fewer than 5", "NEW (4)")
    assert not said(result.warnings, "only")


def test_entities_that_do_not_fit_the_tokens(corpora):
    doc = Doc(NLP.vocab, words=["see", "foo", "bar"], spaces=[True, False, False], ents=["B-A", "O", "B-B"])
    path = write(corpora["cats"].with_name("odd.spacy"), [doc] * 3)
    result = audited({**corpora, "odd": path})
    assert [token.text for token in NLP(doc.text)] == ["see", "foobar"]
    assert part_of(result, "train", "odd").misaligned == 3
    assert said(result.warnings, "corpus 'odd'", "3 entities", "gold_tokens")


def one_word_entities(intent, types):
    """A doc of these types."""
    doc = Doc(NLP.vocab, words=["so", *map(str.lower, types)], ents=["O", *(f"B-{label}" for label in types)])
    doc.cats = {name: float(name == intent) for name in ("play", "ask")}
    return doc


def test_combinations_that_train_does_not_show(corpora):
    """Questions have all combinations of three types, "play" those of three others, of which two are the same."""
    types = {"ask": ("PER", "LOC", "DATE"), "play": ("GENRE", "LOC", "DATE")}
    train = [
        one_word_entities(intent, kind)
        for intent, labels in types.items()
        for size in range(4)
        for kind in combinations(labels, size)
    ]
    config = make_config({"cats": write(corpora["cats"].with_name("some.spacy"), train * 2)})
    config["components"]["multitask"]["heads"]["slots"]["consistent_with"] = "intent"
    dev = [one_word_entities("ask", ("GENRE",)), one_word_entities("ask", ("LOC", "LOC")), *train[:3]]
    path = write(corpora["cats"].with_name("dev.spacy"), dev)
    config["corpora"]["dev"] = {"@readers": "spacy.Corpus.v1", "path": str(path)}
    result = audit(config)
    costs = [cost for cost in part_of(result, "dev", "dev").gold_costs["slots"].costs if cost]
    assert len(costs) == 2
    assert all(cost > 0.5 for cost in costs)
    assert said(result.warnings, "dev", f"{max(costs):.1f} at most, in 2 of 5 docs", "'slots'", "consistent_with")
    assert as_json(result)["corpora"][1]["gold_costs"] == {"slots": costs}
    config["components"]["multitask"]["heads"]["slots"]["consistent_with"] = None
    assert not said(audit(config).warnings, "consistent_with")


def test_what_can_not_be_read_is_an_error(corpora, tmp_path):
    result = audited({**corpora, "gone": tmp_path / "gone.spacy"})
    assert said(result.errors, "train: corpus 'gone'", "FileNotFoundError")
    result = audited(corpora, cats={"heads": ["intnet"]})
    assert said(result.errors, "corpus 'cats'", "['intnet']", "['intent', 'slots']")


def run(config, tmp_path, *options):
    path = tmp_path / "config.cfg"
    config.to_disk(path)
    return CliRunner().invoke(app, ["mtl", "debug-data", str(path), *map(str, options)])


def test_command(corpora, tmp_path):
    result = run(make_config(corpora), tmp_path, "--labels")
    assert result.exit_code == 0, result.output
    for text in ("Corpora", "What the heads see", "Labels of slots", "GENRE", "Findings", "24 of 24 texts"):
        assert text in result.output


def test_command_prints_json_and_takes_overrides(corpora, tmp_path):
    result = run(make_config(corpora), tmp_path, "--json", "--corpora.train.corpora.cats.limit", 8)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    first = report["corpora"][0]
    assert (first["split"], first["corpus"], first["docs"], first["heads"]["intent"]["docs"]) == ("train", "cats", 8, 8)
    assert report["heads"]["slots"]["train"] == {"GENRE": 6, "LOC": 12, "PER": 12}
    assert report["errors"] == []
    assert first["tokens"] == {"total": 28.0, "mean": 3.5, "min": 2.0, "median": 3.5, "p95": 5.0, "max": 5.0}


def test_exit_code_is_1_if_a_head_would_never_train(corpora, tmp_path):
    result = run(make_config({"cats": corpora["cats"]}), tmp_path, "--json")
    assert result.exit_code == 1
    assert said(json.loads(result.stdout)["errors"], "head 'slots'", "never train")


def test_a_pipeline_without_the_component(tmp_path):
    config = spacy.blank("en").config
    result = run(config, tmp_path)
    assert result.exit_code == 1
    assert "no component multitask" in result.output


def test_20000_docs_cost_little_more_than_to_read_them(tmp_path):
    """CPU time of this process, beside that of spaCy's reader in the same process."""
    rng = random.Random(0)
    words = [f"word{number}" for number in range(2000)]
    made = []
    for _ in range(20_000):
        tokens = rng.choices(words, k=12)
        doc = Doc(NLP.vocab, words=tokens, ents=["O"] * 4 + ["B-LOC", "I-LOC"] + ["O"] * 6)
        doc.cats = {"play": 1.0, "ask": 0.0}
        made.append(doc)
    config = make_config({"many": write(tmp_path / "many.spacy", made)})
    config["corpora"]["dev"]["corpora"]["many"]["limit"] = 100
    start = time.process_time()
    assert len(list(Corpus(tmp_path / "many.spacy")(NLP))) == 20_000
    to_read = time.process_time() - start
    start = time.process_time()
    result = audit(config)
    assert time.process_time() - start < 3 * to_read
    assert len(part_of(result, "train", "many").lengths) == 20_000
