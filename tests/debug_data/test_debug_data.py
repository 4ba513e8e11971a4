"""`python -m spacy mtl debug-data`: the numbers, the findings, the exit code, and its cost."""

import cProfile
import json
import pstats
import random
from itertools import combinations

import pytest
import spacy
from multi import make_config, write
from pipelines import make_examples
from spacy.cli import app
from spacy.tokens import Doc, Span
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)
from spacy_mtl.debug_data.as_json import as_json
from spacy_mtl.debug_data.read_splits import audit

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
    assert result.of_level("error") == []


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
    assert said(result.of_level("error"), "head 'slots'", "'train'", "never train", "label_map")
    assert not said(result.of_level("error"), "head 'intent'")


def test_a_classifier_with_one_class(corpora):
    doc = NLP.make_doc("play")
    doc.cats = {"play": 1.0}
    result = audited(
        {"ents": corpora["ents"], "one": write(corpora["cats"].with_name("one.spacy"), [doc] * 9)},
    )
    assert said(result.of_level("error"), "head 'intent'", "only label is 'play'")


def test_a_corpus_for_no_head(corpora):
    path = write(corpora["cats"].with_name("raw.spacy"), [NLP.make_doc("nothing here")] * 3)
    result = audited({**corpora, "raw": path})
    assert said(result.of_level("error"), "corpus 'raw'", "none of its 3 docs")


def test_docs_for_no_head(corpora):
    path = write(corpora["cats"].with_name("some.spacy"), [*docs(), NLP.make_doc("nothing here")])
    result = audited({**corpora, "some": path})
    assert said(result.of_level("hint"), "train, corpus 'some'", "1 of 5 docs")
    assert not said(result.of_level("error"), "some")


def test_labels_of_dev_alone_and_rare_ones(corpora):
    odd = NLP.make_doc("call Ada")
    odd.set_ents([odd.char_span(5, 8, label="NEW")], default="outside")
    odd.cats = {"play": 0.0, "ask": 0.0, "call": 1.0}
    corpora["few"] = write(corpora["cats"].with_name("few.spacy"), [odd] * 4)
    result = audited({name: corpora[name] for name in ("cats", "ents")}, dev=[odd, *docs()])
    assert said(result.of_level("warning"), "head 'slots'", "without an example in 'train'", "NEW (1)")
    assert said(result.of_level("warning"), "head 'intent'", "without an example in 'train'", "call (1)")
    assert said(result.of_level("warning"), "dev, corpus 'dev'", "4 of 5 texts", "'train'")
    result = audited(corpora)
    assert said(result.of_level("hint"), "head 'slots'", "fewer than 5 examples", "NEW (4)")
    assert not said(result.of_level("warning"), "without an example in 'train'")


def test_entities_that_do_not_fit_the_tokens(corpora):
    doc = Doc(NLP.vocab, words=["see", "foo", "bar"], spaces=[True, False, False], ents=["B-A", "O", "B-B"])
    path = write(corpora["cats"].with_name("odd.spacy"), [doc] * 3)
    result = audited({**corpora, "odd": path})
    assert [token.text for token in NLP(doc.text)] == ["see", "foobar"]
    assert part_of(result, "train", "odd").misaligned == 3
    assert said(result.of_level("warning"), "corpus 'odd'", "3 entities", "gold_tokens")


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
    assert said(
        result.of_level("warning"), "dev", f"{max(costs):.1f} at most, in 2 of 5 docs", "'slots'", "consistent_with"
    )
    assert as_json(result)["corpora"][1]["gold_costs"] == {"slots": costs}
    config["components"]["multitask"]["heads"]["slots"]["consistent_with"] = None
    assert not said(audit(config).of_level("warning"), "consistent_with")


def test_what_can_not_be_read_is_an_error(corpora, tmp_path):
    result = audited({**corpora, "gone": tmp_path / "gone.spacy"})
    assert said(result.of_level("error"), "train: corpus 'gone'", "FileNotFoundError")
    result = audited(corpora, cats={"heads": ["intnet"]})
    assert said(result.of_level("error"), "corpus 'cats'", "['intnet']", "['intent', 'slots']")


def test_two_positives_on_an_exclusive_head(corpora):
    """An error in train, where they stop the training; on dev they are scored as they stand."""
    doc = NLP.make_doc("play or ask")
    doc.cats = {"play": 1.0, "ask": 1.0}
    path = write(corpora["cats"].with_name("two.spacy"), [*docs(), doc, doc])
    result = audited({**corpora, "two": path})
    assert said(
        result.of_level("error"), "train, corpus 'two'", "'intent'", "2 of 6 docs", "'play or ask'", "exclusive"
    )
    assert said(result.of_level("warning"), "dev, corpus 'two'", "2 of 6 docs")


def test_values_that_are_no_probabilities(corpora):
    doc = NLP.make_doc("play")
    doc.cats = {"play": 2.0, "ask": 0.0}
    path = write(corpora["cats"].with_name("two.spacy"), [*docs(), doc])
    assert said(audited({**corpora, "two": path}).of_level("error"), "'two'", "1 of 5 docs", "value 2.0")


def entity_docs(*words, label="LOC", outside="outside", n=12):
    """Docs with one entity each."""
    made = []
    for _ in range(n):
        doc = Doc(NLP.vocab, words=["in", *words])
        doc.set_ents([Span(doc, 1, 2, label=label)], default=outside)
        made.append(doc)
    return made


def test_a_corpus_without_types_of_another(corpora):
    """PER would be learned as outside from `ents`, whose tokens outside LOC are known to be outside."""
    folder = corpora["cats"].parent
    both = entity_docs("Rome") + entity_docs("Ada", label="PER")
    paths = {"cats": corpora["cats"], "both": write(folder / "both.spacy", both)}
    some = {**paths, "some": write(folder / "some.spacy", entity_docs("Rome"))}
    result = audited(some)
    assert said(result.of_level("warning"), "head 'slots'", "corpus 'some'", "PER (12)", "unset")
    assert not said(result.of_level("warning"), "head 'slots'", "corpus 'both' has no")
    # the order of the corpora makes no difference
    assert said(audited(dict(reversed(some.items()))).of_level("warning"), "corpus 'some'", "PER (12)")
    unset = {**paths, "some": write(folder / "unset.spacy", entity_docs("Rome", outside="missing"))}
    assert not said(audited(unset).of_level("warning"), "PER")
    assert not said(audited(some, some={"heads": ["intent"]}).of_level("warning"), "PER")
    # with one doc, no PER was to be expected
    few = {**paths, "some": write(folder / "few.spacy", entity_docs("Rome", n=2))}
    assert not said(audited(few).of_level("warning"), "PER")


def test_two_classifiers_with_prefixes_read_in_turn(corpora):
    """The labels of the second are not known yet when the first corpus is read: its docs are no mistakes."""
    folder = corpora["cats"].parent
    topics = write(
        folder / "topics.spacy", cat_docs({"topic=a": 1.0, "topic=b": 0.0}, {"topic=a": 0.0, "topic=b": 1.0}) * 5
    )
    config = make_config(
        {"cats": corpora["cats"], "topics": topics}, cats={"heads": ["intent"]}, topics={"heads": ["topic"]}
    )
    config["components"]["multitask"]["heads"] = {
        "intent": {"@mtl_heads": "spacy_mtl.DocClassifier.v1"},
        "topic": {"@mtl_heads": "spacy_mtl.DocClassifier.v1", "label_prefix": "topic="},
    }
    assert audit(config).of_level("error") == []


def cat_docs(*cats):
    made = []
    for values in cats:
        doc = NLP.make_doc("some text")
        doc.cats = values
        made.append(doc)
    return made


def multilabel(config):
    config["components"]["multitask"]["heads"]["intent"]["exclusive"] = False
    return config


def test_a_corpus_with_zeros_for_classes_of_another(corpora):
    """Keys that are 0 in all docs of a corpus, such as those of files that were converted together."""
    folder = corpora["cats"].parent
    first = write(folder / "first.spacy", cat_docs({"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}) * 10)
    zeros = write(folder / "zeros.spacy", cat_docs({"a": 1.0, "b": 0.0}) * 20)
    absent = write(folder / "absent.spacy", cat_docs({"a": 1.0}) * 20)
    ents = {"ents": corpora["ents"]}
    result = audit(multilabel(make_config({"first": first, "zeros": zeros, **ents})))
    assert said(result.of_level("warning"), "head 'intent'", "corpus 'zeros'", "b (20)")
    result = audit(multilabel(make_config({"first": first, "absent": absent, **ents})))
    assert not said(result.of_level("warning"), "corpus 'absent' has no")
    # exclusive classes are known not to apply where another one does
    assert not said(audit(make_config({"first": first, "zeros": zeros, **ents})).of_level("warning"), "has no example")


def test_a_class_without_a_positive_doc(corpora):
    folder = corpora["cats"].parent
    path = write(folder / "few.spacy", cat_docs({"play": 1.0, "ask": 0.0, "call": 0.0}) * 9)
    result = audited({**corpora, "few": path})
    assert said(result.of_level("warning"), "head 'intent'", "without a positive example in any split: call")
    dev = cat_docs({"play": 0.0, "ask": 0.0, "call": 1.0})
    result = audited({**corpora, "few": path}, dev=dev)
    assert said(result.of_level("warning"), "head 'intent'", "without an example in 'train'", "call (1)")


def test_many_labels_are_named_in_part(corpora):
    """The list of rare labels must not bury what matters."""
    many = [doc for number in range(30) for doc in entity_docs("Rome", label=f"T{number:02}", n=1 + number % 3)]
    result = audited({**corpora, "many": write(corpora["cats"].with_name("many.spacy"), many)})
    hint = next(text for text in result.of_level("hint") if "fewer than" in text)
    assert hint.endswith("and 20 more (--labels lists all)")
    assert hint.count("(3)") == 10


def test_the_most_harmful_comes_first(corpora):
    doc = NLP.make_doc("play or ask")
    doc.cats = {"play": 1.0, "ask": 1.0, "call": 0.0}
    path = write(corpora["cats"].with_name("two.spacy"), [doc, NLP.make_doc("nothing here")])
    result = audited({**corpora, "two": path})
    levels = [finding.level for finding in result.findings]
    assert levels == sorted(levels, key=["error", "warning", "hint"].index)
    assert set(levels) == {"error", "warning", "hint"}
    warnings = result.of_level("warning")
    assert said(warnings[-1:], "are in 'train' too")
    assert as_json(result)["findings"][0]["level"] == "error"


def long_docs():
    """Two docs of two sentences, two of a word, each with a class and entities, and one that is not split."""
    made = []
    for _ in range(2):
        words = ["play", "jazz", ".", "ask", "Ada"]
        doc = Doc(NLP.vocab, words=words, sent_starts=[True, False, False, True, False])
        doc.cats = {"play": 1.0, "ask": 0.0}
        doc.set_ents([Span(doc, 4, 5, label="PER")], default="outside")
        short = Doc(NLP.vocab, words=["ask"], sent_starts=[True])
        short.cats = {"play": 0.0, "ask": 1.0}
        made += [doc, short]
    whole = Doc(NLP.vocab, words=["who", "is", "Ada"], ents=["O", "O", "B-PER"])
    whole.cats = {"play": 0.0, "ask": 1.0}
    return [*made, whole]


def reading(corpora, **settings):
    """The audit of a config whose train and dev are one file of long docs, read with these settings."""
    path = write(corpora["cats"].with_name("long.spacy"), long_docs())
    config = make_config({"long": path})
    reader = {"@readers": "spacy.Corpus.v1", "path": str(path), "gold_preproc": False, "max_length": 0} | settings
    config["corpora"]["train"]["corpora"]["long"]["reader"] = reader
    config["corpora"]["dev"] = reader
    return audit(config)


def test_what_gold_preproc_loses(corpora):
    result = reading(corpora, gold_preproc=True)
    lost = "head 'intent' (doc.cats) 4 of 5 docs, 4 of 5 examples of its labels"
    for corpus in ("train, corpus 'long'", "dev, corpus 'dev'"):
        warnings = [text for text in result.of_level("warning") if "the reader loses" in text and corpus in text]
        assert said(warnings, lost, "gold_preproc", "spacy_mtl.Corpus.v1", "gold_tokens = true")
        assert not said(warnings, "'slots'")
    # what the reader loses comes before what follows from it
    assert "the reader loses" in result.of_level("warning")[0]
    stored = as_json(result)["corpora"][0]["stored"]
    assert (stored["docs"], stored["tokens"], stored["heads"]["intent"]["docs"]) == (5, 15, 5)


def test_what_max_length_loses(corpora):
    result = reading(corpora, max_length=3)
    assert part_of(result, "train", "long").n_gold_tokens == 2 * 2 + 2
    lost = ("9 of 15 tokens", "head 'intent' (doc.cats) 3 of 5 docs", "head 'slots' (doc.ents)", "max_length = 3")
    assert said(result.of_level("warning"), "train, corpus 'long'", *lost)
    settings = {"@readers": "spacy_mtl.Corpus.v1", "gold_tokens": True}
    config = reading_ours(corpora, **settings)
    assert not said(config.of_level("warning"), "the reader loses")
    assert said(reading_ours(corpora, max_length=3, **settings).of_level("warning"), "the reader loses", *lost)


def reading_ours(corpora, **settings):
    path = write(corpora["cats"].with_name("long.spacy"), long_docs())
    config = make_config({"long": path})
    config["corpora"]["train"]["corpora"]["long"]["reader"] = {"path": str(path)} | settings
    return audit(config)


def test_a_limit_is_a_hint_and_hides_no_loss(corpora):
    result = reading(corpora, limit=3, gold_preproc=True)
    assert said(result.of_level("hint"), "train, corpus 'long'", "2 of 5 docs")
    assert said(result.of_level("warning"), "train, corpus 'long'", "head 'intent' (doc.cats) 3 of 3 docs")
    result = audited(corpora, cats={"limit": 4})
    assert said(result.of_level("hint"), "train, corpus 'cats'", "limit leaves out 20 of 24 docs")
    assert not said(result.of_level("warning"), "the reader loses")


def test_losses_are_counted_with_label_map_and_heads(corpora):
    path = write(corpora["cats"].with_name("long.spacy"), long_docs())
    reader = {"@readers": "spacy.Corpus.v1", "path": str(path), "gold_preproc": True}
    config = make_config({"long": path, **corpora})
    config["corpora"]["train"]["corpora"]["long"] |= {
        "reader": reader,
        "heads": ["intent"],
        "label_map": {"play": "do"},
    }
    result = audit(config)
    assert part_of(result, "train", "long").stored.heads["intent"].labels == {"do": 2, "ask": 3}
    assert part_of(result, "train", "long").stored.heads["slots"].docs == 0


def test_raw_text_loses_nothing(corpora):
    """A reader that drops annotation on purpose."""
    path = write(corpora["cats"].with_name("raw.spacy"), long_docs())
    config = make_config({**corpora, "raw": path})
    reader = {"@readers": "spacy_mtl.UnlabelledCorpus.v1", "path": str(path), "cats": {"ask": 1.0}}
    config["corpora"]["train"]["corpora"]["raw"]["reader"] = reader
    result = audit(config)
    assert part_of(result, "train", "raw").stored is None
    assert not said(result.of_level("warning"), "corpus 'raw'", "the reader loses")


@pytest.mark.slow
def test_what_gold_preproc_loses_of_hwu64(data_dir):
    """The docs that spaCy's reader splits, or whose one word it makes a sentence of."""
    path = data_dir / "hwu64" / "train.spacy"
    if not path.is_file():
        pytest.skip(f"no HWU64: {path} does not exist")
    config = make_config({"hwu64": path})
    kinds = {"scenario": "scenario=", "action": "action="}
    heads = {name: {"@mtl_heads": "spacy_mtl.DocClassifier.v1", "label_prefix": kinds[name]} for name in kinds}
    config["components"]["multitask"]["heads"] = heads
    reader = {"@readers": "spacy.Corpus.v1", "path": str(path), "gold_preproc": True}
    config["corpora"]["train"]["corpora"]["hwu64"]["reader"] = reader
    warning = next(text for text in audit(config).of_level("warning") if "the reader loses" in text)
    for name in kinds:
        assert f"head '{name}' (doc.cats) 56 of 8964 docs" in warning
    reader["@readers"] = "spacy_mtl.Corpus.v1"
    del reader["gold_preproc"]
    assert not said(audit(config).of_level("warning"), "the reader loses")


def run(config, tmp_path, *options):
    path = tmp_path / "config.cfg"
    config.to_disk(path)
    return CliRunner().invoke(app, ["mtl", "debug-data", str(path), *map(str, options)])


def errors_in(result):
    return [finding["text"] for finding in json.loads(result.stdout)["findings"] if finding["level"] == "error"]


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
    assert errors_in(result) == []
    assert first["tokens"] == {"total": 28.0, "mean": 3.5, "min": 2.0, "median": 3.5, "p95": 5.0, "max": 5.0}


def test_exit_code_is_1_if_a_head_would_never_train(corpora, tmp_path):
    result = run(make_config({"cats": corpora["cats"]}), tmp_path, "--json")
    assert result.exit_code == 1
    assert said(errors_in(result), "head 'slots'", "never train")


def test_a_pipeline_without_the_component(tmp_path):
    config = spacy.blank("en").config
    result = run(config, tmp_path)
    assert result.exit_code == 1
    assert "no component multitask" in result.output


def test_the_cost_of_a_corpus_grows_with_its_docs(tmp_path):
    """In calls of functions, which no other work on the machine changes."""
    assert calls_of_an_audit(tmp_path, n_docs=400) < 2.1 * calls_of_an_audit(tmp_path, n_docs=200)


def calls_of_an_audit(tmp_path, n_docs):
    rng = random.Random(0)
    words = [f"word{number}" for number in range(2000)]
    made = []
    for _ in range(n_docs):
        tokens = rng.choices(words, k=12)
        doc = Doc(NLP.vocab, words=tokens, ents=["O"] * 4 + ["B-LOC", "I-LOC"] + ["O"] * 6)
        doc.cats = {"play": 1.0, "ask": 0.0}
        made.append(doc)
    config = make_config({"many": write(tmp_path / f"{n_docs}.spacy", made)})
    config["corpora"]["dev"]["corpora"]["many"]["limit"] = 10
    profile = cProfile.Profile()
    result = profile.runcall(audit, config)
    assert len(part_of(result, "train", "many").lengths) == n_docs
    return pstats.Stats(profile).total_calls
