"""The reader of several corpora: which head learns from which corpus, use in `spacy train`, and what it refuses."""

import json
import logging
import re
import weakref

import pytest
import spacy
from multi import TWO, make_config, names_of, plain_reader, reader_of, texts_of, write
from pipelines import ENCODER, has_moved, heads_config, make_examples, make_nlp, weights_of
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.augment import create_lower_casing_augmenter
from spacy.training.initialize import init_nlp
from spacy.training.loop import train

from spacy_mtl.origin import corpus_of, heads_of, mark
from spacy_mtl.readers.label_map import with_labels
from spacy_mtl.readers.multi_corpus import make_multi_corpus_v1
from spacy_mtl.samplers.proportional import make_proportional_v1

HEADS = spacy.registry.resolve(
    heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"}, tag={"kind": "Tagger"})
)


def fails(*parts):
    """Expect a ValueError whose message has these parts in this order."""
    return pytest.raises(ValueError, match="(?s)" + ".*".join(re.escape(part) for part in parts))


def marked(nlp, corpus="some", heads=None, **gold):
    examples = make_examples(nlp, **gold)
    for eg in examples:
        mark(eg.reference, corpus, heads)
    return examples


def test_an_excluded_head_stays_exactly_as_it_was():
    nlp = make_nlp(TWO)
    pipe = nlp.get_pipe("multitask")
    before = {key: weights_of(head) for key, head in pipe.heads.items()}
    optimizer = nlp.create_optimizer()
    for _ in range(3):
        losses = nlp.update(marked(nlp, heads=["intent"]), sgd=optimizer, losses={})
    assert losses["multitask/slots"] == 0.0
    assert losses["multitask/intent"] > 0.0
    assert not has_moved(before["slots"], weights_of(pipe.heads["slots"]))
    assert has_moved(before["intent"], weights_of(pipe.heads["intent"]))


@pytest.mark.parametrize("heads", [["intent"], ["slots"], []])
def test_excluding_a_head_is_the_same_as_having_no_gold_for_it(heads):
    after = []
    for gold in ({}, {"cats": "intent" in heads, "ents": "slots" in heads}):
        nlp = make_nlp(TWO)
        examples = marked(nlp, heads=heads, **gold) if not gold else make_examples(nlp, **gold)
        nlp.update(examples, sgd=nlp.create_optimizer())
        after.append(weights_of(nlp.get_pipe("multitask")))
    assert not has_moved(*after)


def test_in_a_mixed_batch_each_example_teaches_its_own_heads():
    losses = []
    for mixed in (True, False):
        nlp = make_nlp(TWO)
        first = marked(nlp, "a", ["intent"]) if mixed else make_examples(nlp, ents=False)
        second = marked(nlp, "b", ["slots"]) if mixed else make_examples(nlp, cats=False)
        losses.append(nlp.update([*first, *second], sgd=nlp.create_optimizer(), losses={}))
    assert losses[0] == losses[1]
    assert min(losses[0].values()) > 0


def test_two_corpora_with_the_same_kind_of_label_get_a_head_each():
    heads = heads_config(intent={"kind": "DocClassifier"}, food={"kind": "DocClassifier"})
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    pipe = nlp.add_pipe("multitask", config={"model": model, "heads": heads})
    soup = nlp.make_doc("stir the soup")
    soup.cats = {"soup": 1.0, "bread": 0.0}
    mark(soup, "cooking", ["food"])
    examples = [*marked(nlp, "snips", ["intent"]), Example(nlp.make_doc(soup.text), soup)]
    nlp.initialize(lambda: examples)
    assert pipe.label_data == {"intent": ["ask", "play"], "food": ["bread", "soup"]}
    nlp.update(examples, sgd=nlp.create_optimizer())


def test_scores_of_each_corpus():
    nlp = make_nlp(TWO)
    both = [*marked(nlp, "one", ["intent"]), *marked(nlp, "two")]
    scores = nlp.evaluate(both)
    assert {"one/intent_acc", "two/intent_acc", "two/slots_f"} <= set(scores)
    assert "one/slots_f" not in scores
    assert scores["intent_acc"] == (scores["one/intent_acc"] + scores["two/intent_acc"]) / 2
    assert scores["slots_f"] == scores["two/slots_f"]
    pipe = nlp.get_pipe("multitask")
    assert pipe.corpus_scores["two"] == {"intent": scores["two/intent_acc"], "slots": scores["two/slots_f"]}
    assert pipe.main_scores == {"intent": scores["intent_acc"], "slots": scores["slots_f"]}
    assert not any("/" in key for key in nlp.evaluate(make_examples(nlp)))


def test_a_doc_of_two_corpora_is_marked_for_each():
    doc = spacy.blank("en").make_doc("play jazz")
    first, second, again = mark(doc, "one", ["intent"]), mark(doc, "two"), mark(doc, "one", ["intent"])
    assert first is doc is again
    assert (corpus_of(first), heads_of(first)) == ("one", ("intent",))
    assert (corpus_of(second), heads_of(second)) == ("two", None)


def test_labels_are_renamed_and_dropped():
    nlp = spacy.blank("en")
    doc = make_examples(nlp)[0].reference
    doc[0].tag_, doc[1].tag_ = "VB", "DT"
    mapping = {"GENRE": "style", "LOC": None, "play": "act", "ask": None, "VB": "V", "DT": None}
    new = with_labels(doc, mapping, HEADS.values())
    assert [(ent.text, ent.label_) for ent in new.ents] == [("jazz", "style")]
    assert [token.ent_iob_ for token in new] == ["O", "O", "B", "O", ""]
    assert new.cats == {"act": 1.0}
    assert [token.tag_ for token in new][:2] == ["V", ""]
    assert [ent.label_ for ent in doc.ents] == ["GENRE", "LOC"]
    assert doc.cats == {"play": 1.0, "ask": 0.0}
    once = with_labels(doc, {"play": "ask", "ask": "play"}, [HEADS["intent"], HEADS["intent"]])
    assert once.cats == {"ask": 1.0, "play": 0.0}


def test_a_label_map_needs_heads_that_say_what_labels_are():
    corpora = {"a": {"reader": lambda nlp: make_examples(nlp), "label_map": {"LOC": "place"}}}
    with fails("corpus 'a'", "label_map", "multitask"):
        list(make_multi_corpus_v1(corpora, make_proportional_v1())(spacy.blank("en")))


def test_classes_that_meet_in_one_name_keep_the_larger_value():
    doc = spacy.blank("en").make_doc("hi")
    doc.cats = {"a": 1.0, "b": 0.0, "c": 0.0}
    assert with_labels(doc, {"a": "x", "b": "x"}, HEADS.values()).cats == {"x": 1.0, "c": 0.0}


def test_a_readers_own_docs_stay_as_they_are():
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask")
    kept = make_examples(nlp)
    corpora = {"a": {"reader": lambda nlp: kept, "label_map": {"LOC": "place"}}, "b": {"reader": lambda nlp: kept}}
    reader = make_multi_corpus_v1(corpora, make_proportional_v1())
    for _ in range(2):
        examples = list(reader(nlp))
        mapped = [eg.reference for eg in examples if corpus_of(eg.reference) == "a"]
        assert {ent.label_ for doc in mapped for ent in doc.ents} == {"GENRE", "PER", "place"}
        assert {name: names_of(examples).count(name) for name in "ab"} == {"a": 4, "b": 4}
    assert {ent.label_ for eg in kept for ent in eg.reference.ents} == {"GENRE", "PER", "LOC"}


def test_limit_and_augmenter():
    sections = {"big": {"limit": 5, "augmenter": create_lower_casing_augmenter(1.0), "heads": ["intent"]}}
    reader, nlp = reader_of({"big": 50}, make_proportional_v1(), corpora=sections)
    examples = list(reader(nlp))
    assert sorted(texts_of(examples)) == [f"doc {number} of big " for number in range(5)]
    assert {corpus_of(eg.reference) for eg in examples} == {"big"}


def test_without_a_sampler_each_pass_is_all_docs_in_their_order():
    reader, nlp = reader_of({"one": 30, "two": 10}, None)
    first = list(reader(nlp))
    assert names_of(first) == ["one"] * 30 + ["two"] * 10
    assert texts_of(first) == texts_of(reader(nlp))


def test_each_pass_has_another_order():
    reader, nlp = reader_of({"one": 100}, make_proportional_v1())
    first, second = texts_of(reader(nlp)), texts_of(reader(nlp))
    assert sorted(first) == sorted(second)
    assert first != second


@pytest.mark.parametrize("buffer_size", [0, 50])
def test_a_stream_holds_no_more_than_its_buffers(buffer_size):
    alive = weakref.WeakSet()
    most = 0

    def endless_looking(nlp):
        for number in range(3000):
            doc = Doc(nlp.vocab, words=["doc", str(number % 100)])
            alive.add(doc)
            yield Example(Doc(nlp.vocab, words=["doc"]), doc)

    corpora = {name: {"reader": endless_looking} for name in ("one", "two")}
    reader = make_multi_corpus_v1(corpora, make_proportional_v1(), buffer_size=buffer_size)
    count = 0
    for _ in reader(spacy.blank("en")):
        count += 1
        most = max(most, len(alive))
    assert count == 6000
    assert most <= 2 * buffer_size + 10


# `spacy train`


@pytest.fixture
def corpora(tmp_path):
    """One corpus with intents, one with slots, one of whose labels is in its last doc only."""
    nlp = spacy.blank("en")
    rare = [eg.reference for eg in make_examples(nlp, cats=False)] * 50
    last = nlp.make_doc("call Ada")
    last.set_ents([last.char_span(5, 8, label="RARE")], default="outside")
    return {
        "cats": write(tmp_path / "cats.spacy", [eg.reference for eg in make_examples(nlp, ents=False)] * 10),
        "ents": write(tmp_path / "ents.spacy", [*rare, last]),
    }


@pytest.fixture
def logged(caplog):
    """What spaCy's logger says, which does not propagate by itself."""
    logger = logging.getLogger("spacy")
    logger.addHandler(caplog.handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield caplog
    logger.setLevel(level)
    logger.removeHandler(caplog.handler)


def test_training_on_a_stream(corpora, tmp_path):
    losses = []
    for _ in range(2):
        nlp = init_nlp(make_config(corpora, cats={"heads": ["intent"]}, ents={"heads": ["slots"]}))
        assert "RARE" in nlp.get_pipe("multitask").label_data["slots"]
        (tmp_path / "out").mkdir(exist_ok=True)
        train(nlp, tmp_path / "out")
        losses.append(nlp.meta["performance"]["multitask_loss"])
    assert losses[0] == losses[1]
    mix = json.loads((tmp_path / "out" / "model-last" / "meta.json").read_text())["spacy_mtl"]["mix"]
    # 12 batches of about 60 words of docs of about 4, in the proportion 40 to 201.
    assert 100 < sum(mix.values()) < 241
    assert 0.05 < mix["cats"] / sum(mix.values()) < 0.35


def test_the_mix_of_each_pass_is_logged(corpora, logged):
    nlp = init_nlp(make_config(corpora, max_epochs=2))
    train(nlp)
    assert "MultiCorpus.v1, pass 1: cats 40 (16.6 %), ents 201 (83.4 %)" in logged.text
    assert nlp.meta["spacy_mtl"]["mix"] == {"cats": 40, "ents": 201}


@pytest.mark.parametrize("sampler", ["Annealed", "Shortfall"])
def test_a_moving_proportion_needs_a_stream(corpora, sampler):
    nlp = init_nlp(make_config(corpora, sampler, max_epochs=0))
    with fails(sampler, "max_epochs = 0", "max_epochs = -1"):
        train(nlp)


@pytest.mark.parametrize(("sampler", "warns"), [("Uniform", True), ("Proportional", False)])
def test_a_frozen_draw_is_told(corpora, sampler, warns, logged):
    nlp = init_nlp(make_config(corpora, sampler, max_epochs=1))
    train(nlp)
    assert ("each epoch repeats the same docs" in logged.text) == warns


@pytest.mark.parametrize("max_epochs", [0, -1])
def test_an_unknown_head_stops_the_initialisation(corpora, max_epochs):
    with fails("corpus 'ents'", "['solts']", "['intent', 'slots']"):
        init_nlp(make_config(corpora, max_epochs=max_epochs, ents={"heads": ["solts"]}))


@pytest.mark.parametrize("max_epochs", [0, -1])
def test_a_corpus_without_a_label_of_any_head(corpora, tmp_path, max_epochs):
    tagged = Doc(spacy.blank("en").vocab, words=["a", "b"], tags=["X", "Y"])
    corpora["tags"] = write(tmp_path / "tags.spacy", [tagged] * 5)
    with fails("corpus 'tags'", "none of the", "['intent', 'slots']", "label_map"):
        init_nlp(make_config(corpora, max_epochs=max_epochs))


@pytest.mark.parametrize("max_epochs", [0, -1])
def test_a_missing_path(corpora, tmp_path, max_epochs):
    corpora["gone"] = tmp_path / "gone.spacy"
    with fails("corpus 'gone'", "after 0 docs", "gone.spacy", "FileNotFoundError"):
        init_nlp(make_config(corpora, max_epochs=max_epochs))


def test_an_empty_corpus(corpora, tmp_path):
    corpora["nothing"] = write(tmp_path / "nothing.spacy", [])
    with fails("corpus 'nothing'", "no docs", "nothing.spacy"):
        init_nlp(make_config(corpora))


@pytest.mark.parametrize("max_epochs", [0, -1])
def test_a_broken_file_in_the_middle_of_a_list(corpora, tmp_path, max_epochs):
    content = corpora["cats"].read_bytes()
    for number in range(3):
        path = tmp_path / "many" / f"part{number}.spacy"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content[: len(content) // 2] if number == 1 else content)
    corpora["many"] = path.parent
    with fails("corpus 'many'", "after 40 docs", "part1.spacy"):
        init_nlp(make_config(corpora, max_epochs=max_epochs))


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"weight": 0.0}, ("corpus 'one'", "weight is 0.0", "above 0")),
        ({"limit": -1}, ("corpus 'one'", "limit is -1")),
        ({"heads": []}, ("corpus 'one'", "heads is []")),
        ({"heads": "intent"}, ("corpus 'one'", "heads is 'intent'", "list")),
        ({"haeds": ["intent"]}, ("corpus 'one'", "['haeds']", "'heads'")),
        ({"reader": None}, ("corpus 'one'", "reader is None", "@readers")),
    ],
)
def test_wrong_settings_of_a_corpus(settings, parts):
    with fails(*parts):
        reader_of({"one": 1}, None, corpora={"one": settings})


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"sampler": 3}, ("sampler is 3", "@mtl_samplers")),
        ({"epoch_size": 0}, ("epoch_size is 0",)),
        ({"buffer_size": -1}, ("buffer_size is -1",)),
        ({"corpora": {}}, ("no corpora",)),
    ],
)
def test_wrong_settings_of_the_reader(settings, parts):
    with fails("MultiCorpus.v1", *parts):
        make_multi_corpus_v1(**{"corpora": {"one": {"reader": plain_reader("one", 1)}}} | settings)
