"""A user's mistake gets a message that names the head, the label, the doc or file, and the fix."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, JOINT, LISTENER, has_moved, heads_config, make_examples, make_nlp, train, weights_of
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import Config

from spacy_mtl.heads.doc_classifier.doc_classifier import make_doc_classifier_v1

INTENT = heads_config(intent={"kind": "DocClassifier"})
SLOTS = heads_config(slots={"kind": "EntityRecognizer"})


def fails(*parts):
    """Expect a ValueError whose message has these parts in this order."""
    return pytest.raises(ValueError, match="(?s)" + ".*".join(re.escape(part) for part in parts))


def add(heads, **settings):
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    nlp.add_pipe("multitask", config={"model": model, "heads": heads, **settings})
    return nlp


def initialize(heads, **gold):
    nlp = add(heads)
    nlp.initialize(lambda: make_examples(nlp, **gold))


def test_no_heads():
    with fails("'multitask'", "no heads", "@mtl_heads"):
        add({})


def test_a_head_that_is_no_head():
    with fails("'multitask'", "'odd'", "not a head", "@mtl_heads"):
        add({"odd": 3})


def test_two_heads_with_equal_cats():
    heads = heads_config(topic={"kind": "DocClassifier"}, mood={"kind": "DocClassifier"})
    with fails("'mood'", "'ask'", "'topic'", "label_prefix"):
        initialize(heads)


def test_two_writers_of_ents():
    heads = heads_config(one={"kind": "EntityRecognizer"}, two={"kind": "EntityRecognizer"})
    with fails("'two'", "doc.ents", "'one'", "spans_key"):
        initialize(heads)


def test_two_taggers_of_the_same_attribute():
    heads = heads_config(one={"kind": "Tagger"}, two={"kind": "Tagger"})
    nlp = add(heads)

    def examples():
        found = make_examples(nlp)
        for eg in found:
            eg.reference[0].tag_ = "X"
        return found

    with fails("'two'", "token.tag", "'one'", "attr"):
        nlp.initialize(examples)


def test_condition_on_a_head_that_does_not_exist():
    heads = heads_config(slots={"kind": "EntityRecognizer", "condition_on": "mood"})
    with fails("'slots'", "condition_on", "'mood'", "['slots']"):
        add(heads)


def test_condition_on_in_a_circle():
    heads = heads_config(
        one={"kind": "EntityRecognizer", "condition_on": "two"},
        two={"kind": "EntityRecognizer", "condition_on": "one", "spans_key": "sc"},
    )
    with fails("['one', 'two']", "condition_on", "circle"):
        add(heads)


def test_weights_for_an_unknown_head():
    with fails("Static.v1", "'solts'", "['intent', 'slots']"):
        add(JOINT, weighting={"@mtl_weightings": "spacy_mtl.Static.v1", "weights": {"solts": 1.0}})


def test_negative_weight():
    with fails("Static.v1", "at least 0", "'slots': -1.0"):
        add(JOINT, weighting={"@mtl_weightings": "spacy_mtl.Static.v1", "weights": {"slots": -1.0}})


def test_class_weight_for_an_unknown_label():
    with fails("'intent'", "class_weights", "'plya'", "'play'"):
        initialize(heads_config(intent={"kind": "DocClassifier", "class_weights": {"plya": 2.0}}))


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_class_weight_that_is_no_weight(weight):
    with fails("DocClassifier", "class_weights", "'play'", str(weight), "at least 0"):
        make_doc_classifier_v1(class_weights={"play": weight})


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_threshold_that_is_no_probability(threshold):
    with fails("DocClassifier", "threshold", str(threshold), "from 0 to 1"):
        make_doc_classifier_v1(exclusive=False, threshold=threshold)
    nlp = make_nlp(heads_config(intent={"kind": "DocClassifier", "exclusive": False}))
    with fails("'intent'", "threshold", str(threshold), "from 0 to 1"):
        nlp.evaluate(make_examples(nlp), scorer_cfg={"threshold": threshold})


@pytest.mark.parametrize("labels", [None, {"intent": ["play"]}])
def test_a_single_exclusive_class(labels):
    nlp = add(INTENT)
    gold = make_examples(nlp)
    for eg in gold:
        eg.reference.cats = {"play": 1.0}
    with fails("'intent'", "['play']", "exclusive = false"):
        nlp.get_pipe("multitask").initialize(lambda: gold, nlp=nlp, labels=labels)


def test_a_single_class_that_is_not_exclusive():
    nlp = add(heads_config(intent={"kind": "DocClassifier", "exclusive": False}))
    nlp.initialize(lambda: [relabelled(nlp, cats={"play": 1.0})])
    train(nlp, [relabelled(nlp, cats={"play": 1.0})], steps=1)


VALUES_OF_CATS = [2.0, -1.0, float("nan"), None, "yes"]


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("value", VALUES_OF_CATS, ids=str)
def test_values_of_cats_out_of_range(exclusive, value):
    heads = heads_config(intent={"kind": "DocClassifier", "exclusive": exclusive})
    nlp = make_nlp(heads)
    bad = relabelled(nlp, cats={"ask": 1.0 if value != 2.0 else 0.0, "play": value})
    parts = ("'intent'", "'play'", repr(value), "'stop Berlin'", "from 0 to 1")
    with fails(*parts):
        nlp.update([bad])
    with fails(*parts):
        nlp.evaluate([bad])
    fresh = add(heads)
    with fails(*parts):
        fresh.initialize(lambda: [*make_examples(fresh), bad])


def test_values_of_another_heads_cats_are_not_this_ones():
    nlp = add(heads_config(intent={"kind": "DocClassifier", "label_prefix": "is "}))
    gold = [relabelled(nlp, cats={f"is {label}": 1.0, "rating": 5.0}) for label in ("play", "stop")]
    nlp.initialize(lambda: gold)
    train(nlp, gold, steps=1)
    assert nlp.evaluate(gold)["intent_acc"] is not None


@pytest.mark.parametrize("exclusive", [True, False])
def test_cats_of_none(exclusive):
    heads = heads_config(intent={"kind": "DocClassifier", "exclusive": exclusive})
    nlp = make_nlp(heads)
    bad = relabelled(nlp, cats=None)
    parts = ("'intent'", "cats", "'stop Berlin'", "None", "{}")
    with fails(*parts):
        nlp.update([bad])
    with fails(*parts):
        nlp.evaluate([bad])
    fresh = add(heads)
    with fails(*parts):
        fresh.initialize(lambda: [*make_examples(fresh), bad])


def relabelled(nlp, **changes):
    """A gold example with a label that initialisation has not seen."""
    reference = nlp.make_doc("stop Berlin")
    if "cats" in changes:
        reference.cats = changes["cats"]
    if "ent" in changes:
        reference.set_ents([reference.char_span(5, 11, label=changes["ent"])], default="outside")
    if "tag" in changes:
        reference[0].tag_ = changes["tag"]
    return Example(nlp.make_doc(reference.text), reference)


def test_unseen_class_in_update():
    nlp = make_nlp(INTENT)
    with fails("'intent'", "'stop'", "'stop Berlin'", "add_label"):
        nlp.update([relabelled(nlp, cats={"play": 0.0, "ask": 0.0, "stop": 1.0})])


def test_unseen_entity_label_in_update():
    nlp = make_nlp(SLOTS)
    with fails("'slots'", "'TOWN'", "'stop Berlin'", "add_label"):
        nlp.update([relabelled(nlp, ent="TOWN")])


def test_unseen_tag_in_update():
    nlp = add(heads_config(fine={"kind": "Tagger"}))
    nlp.initialize(lambda: [relabelled(nlp, tag="VB")])
    with fails("'fine'", "tag 'XX'", "'stop Berlin'", "add_label"):
        nlp.update([relabelled(nlp, tag="XX")])


def test_two_exclusive_classes():
    nlp = make_nlp(INTENT)
    with fails("'intent'", "2 classes", "'stop Berlin'", "exclusive = false"):
        nlp.update([relabelled(nlp, cats={"play": 1.0, "ask": 1.0})])


def test_two_exclusive_classes_at_initialisation():
    nlp = add(INTENT)
    with fails("'intent'", "2 classes", "'stop Berlin'", "exclusive = false"):
        nlp.initialize(lambda: [*make_examples(nlp), relabelled(nlp, cats={"play": 1.0, "ask": 1.0})])


def test_no_exclusive_class_beside_another_heads_class():
    heads = heads_config(intent={"kind": "DocClassifier"}, mood={"kind": "DocClassifier"})
    nlp = add(heads)
    labels = {"intent": ["ask", "play"], "mood": ["good", "bad"]}
    bad = relabelled(nlp, cats={"play": 0.0, "ask": 0.0, "good": 1.0})
    with fails("'intent'", "no class", "'stop Berlin'", "exclusive = false"):
        nlp.get_pipe("multitask").initialize(lambda: [*make_examples(nlp), bad], nlp=nlp, labels=labels)


def test_a_tag_that_says_what_a_token_is_not():
    """spaCy's tagger reads "!VB" so."""
    nlp = add(heads_config(fine={"kind": "Tagger"}))
    parts = ("'fine'", "tag '!VB'", "'stop Berlin'", "is not", "unset", "'VB'")
    both = [relabelled(nlp, tag="VB"), relabelled(nlp, tag="!VB")]
    with fails(*parts):
        nlp.initialize(lambda: both)
    nlp.initialize(lambda: both[:1])
    with fails(*parts):
        nlp.update(both[1:])


def test_a_tag_that_only_looks_negative():
    nlp = add(heads_config(fine={"kind": "Tagger"}))
    nlp.initialize(lambda: [relabelled(nlp, tag="!"), relabelled(nlp, tag="!X")])
    assert nlp.get_pipe("multitask").label_data == {"fine": ["!", "!X"]}


def test_no_exclusive_class():
    nlp = make_nlp(INTENT)
    with fails("'intent'", "no class", "'stop Berlin'", "exclusive = false"):
        nlp.update([relabelled(nlp, cats={"play": 0.0, "ask": 0.0})])


@pytest.mark.parametrize(("heads", "gold"), [(INTENT, {"cats": False}), (SLOTS, {"ents": False})])
def test_initialise_without_examples_for_a_head(heads, gold):
    name = next(iter(heads))
    with fails(repr(name), "none of the 4 examples", "[initialize.components.multitask.labels]"):
        initialize(heads, **gold)


def test_initialise_with_labels_of_an_unknown_head():
    nlp = add(JOINT)
    with fails("'multitask'", "['mood']", "['intent', 'slots']"):
        nlp.get_pipe("multitask").initialize(lambda: make_examples(nlp), nlp=nlp, labels={"mood": ["good"]})


def test_initialise_with_empty_texts():
    nlp = add(heads_config(intent={"kind": "DocClassifier"}))
    reference = nlp.make_doc("")
    reference.cats = {"a": 1.0, "b": 0.0}
    with fails("'multitask'", "1 examples", "empty"):
        nlp.initialize(lambda: [Example(nlp.make_doc(""), reference)])


def with_listener(*, upstream="*", width=32, tok2vec=True):
    nlp = spacy.blank("en")
    if tok2vec:
        nlp.add_pipe("tok2vec", config={"model": ENCODER})
    listener = LISTENER | {"upstream": upstream, "width": width}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": listener}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    return nlp


def test_listener_without_upstream():
    nlp = with_listener(tok2vec=False)
    with fails("'multitask'", "listener", "upstream = '*'", "add one before it"):
        nlp.initialize(lambda: make_examples(nlp))


def test_listener_with_another_upstream():
    nlp = with_listener(upstream="encoder")
    with fails("'multitask'", "'encoder'", "['tok2vec']"):
        nlp.initialize(lambda: make_examples(nlp))


def test_listener_with_the_wrong_width():
    nlp = with_listener(width=48)
    with fails("'multitask'", "width 48", "'tok2vec'", "32", "${components.tok2vec.model.width}"):
        nlp.initialize(lambda: make_examples(nlp))


def test_prediction_without_the_pipe_listened_to():
    nlp = make_nlp(listener=True)
    with nlp.select_pipes(disable="tok2vec"), fails("'multitask'", "no token vectors", "replace_listeners"):
        nlp("play Anna")


def test_nan_loss_stops_and_leaves_the_weights():
    nlp = make_nlp()
    pipe = nlp.get_pipe("multitask")
    optimizer = nlp.create_optimizer()
    before = weights_of(pipe)
    examples = make_examples(nlp)
    scores = pipe.heads["slots"].model.layers[2].get_param("b")
    kept = scores.copy()
    scores[:] = np.nan
    with fails("'slots'", "loss is nan", "learning rate"):
        nlp.update(examples, sgd=optimizer)
    scores[:] = kept
    assert not has_moved(before, weights_of(pipe))


def test_add_label_without_or_with_an_unknown_head():
    pipe = make_nlp().get_pipe("multitask")
    with fails("'multitask'", "add_label", "['intent', 'slots']", "None"):
        pipe.add_label("x")
    with fails("'multitask'", "add_label", "'mood'"):
        pipe.add_label("x", head="mood")


@pytest.mark.parametrize(
    ("label", "head", "parts"),
    [
        (9, "intent", ["'intent'", "9", "a label is a string"]),
        ("", "intent", ["'intent'", "''", "at least one character"]),
        ("x", "unknown", ["'multitask'", "add_label", "['intent', 'slots', 'mood']", "'unknown'"]),
        ("play", "mood", ["'mood'", "'play'", "'intent'", "label_prefix"]),
    ],
)
def test_a_refused_label_changes_nothing(label, head, parts):
    nlp = add(JOINT | heads_config(mood={"kind": "DocClassifier"}))
    pipe = nlp.get_pipe("multitask")
    labels = {"intent": ["ask", "play"], "mood": ["glad", "sad"]}
    pipe.initialize(lambda: make_examples(nlp), nlp=nlp, labels=labels)
    before, known = weights_of(pipe), pipe.label_data
    with fails(*parts):
        pipe.add_label(label, head=head)
    after = weights_of(pipe)
    assert pipe.label_data == known
    assert {key: value.shape for key, value in before.items()} == {key: value.shape for key, value in after.items()}
    assert not has_moved(before, after)


def head_section(name):
    """A config whose only head has this name."""
    return Config().from_str(
        f"""
        [nlp]
        lang = "en"
        pipeline = ["multitask"]
        [components]
        [components.multitask]
        factory = "multitask"
        [components.multitask.heads]
        [components.multitask.heads.topic]
        [components.multitask.heads.{name}]
        @mtl_heads = "spacy_mtl.DocClassifier.v1"
        """.replace("\n        ", "\n").replace("" if "topic." in name else "[components.multitask.heads.topic]\n", "")
    )


@pytest.mark.parametrize(("name", "sign"), [("topic.fine", "."), ("topic/fine", "/")])
def test_head_names_that_sections_and_scores_can_not_have(name, sign):
    with fails("'multitask'", f"'{name}'", f"'{sign}'", "rename the head", "'_'"):
        add(heads_config(**{name: {"kind": "DocClassifier"}}))
    with fails("'multitask'", f"'{name}'", f"'{sign}'", "rename the head", "'_'"):
        spacy.util.load_model_from_config(head_section(name), auto_fill=True)


def test_two_heads_that_would_report_under_one_key():
    heads = heads_config(intent={"kind": "DocClassifier"}, intent_macro={"kind": "EntityRecognizer"})
    with fails("'multitask'", "'intent' and 'intent_macro'", "'intent_macro_f'", "rename"):
        add(heads)


def test_add_label_that_can_not_be():
    nlp = add(heads_config(pos={"kind": "Tagger", "attr": "pos"}, sents={"kind": "Tagger", "attr": "sent_start"}))
    with fails("'pos'", "'THING'"):
        nlp.get_pipe("multitask").add_label("THING", head="pos")
    with fails("'sents'", "I and S"):
        nlp.get_pipe("multitask").add_label("X", head="sents")


@pytest.mark.parametrize(
    ("kind", "settings", "parts"),
    [
        ("DocClassifier", {"pooling": []}, ("DocClassifier", "pooling", "'mean'")),
        ("Tagger", {"label_smoothing": 1.0}, ("Tagger", "label_smoothing", "1.0")),
        ("DocClassifier", {"label_smoothing": -0.1}, ("DocClassifier", "label_smoothing", "-0.1")),
        ("DocClassifier", {"label_smoothing": 0.1, "exclusive": False}, ("label_smoothing", "not exclusive")),
    ],
)
def test_settings_out_of_range(kind, settings, parts):
    with fails(*parts):
        add(heads_config(task={"kind": kind, **settings}))


def test_settings_of_the_wrong_kind_are_refused_by_the_config_system():
    with fails("attr"):
        add(heads_config(task={"kind": "Tagger", "attr": "lemma"}))


@pytest.mark.parametrize("damage", ["missing", "truncated", "cfg"])
def test_a_damaged_model_directory(tmp_path, damage):
    nlp = make_nlp()
    nlp.to_disk(tmp_path)
    model = tmp_path / "multitask" / "heads" / "intent"
    if damage == "missing":
        model.unlink()
    elif damage == "truncated":
        model.write_bytes(model.read_bytes()[:1000])
    else:
        (tmp_path / "multitask" / "cfg").write_text("{")
    with fails("'multitask'", str(tmp_path / "multitask"), "incomplete"):
        spacy.load(tmp_path)


def config_without(folder, head):
    config = json.loads(json.dumps(spacy.util.load_config(folder / "config.cfg")))
    del config["components"]["multitask"]["heads"][head]
    return config


def test_a_head_that_is_saved_but_not_in_the_config_is_named_and_left_out(tmp_path, caplog):
    make_nlp().to_disk(tmp_path)
    nlp = spacy.blank("en").from_config(config_without(tmp_path, "slots"))
    nlp.from_disk(tmp_path)
    assert "head 'slots' is saved, but not in the config" in caplog.text
    doc = nlp("play Anna")
    assert doc.cats == spacy.load(tmp_path)("play Anna").cats
    assert not doc.ents


def test_a_head_that_is_in_the_config_but_not_saved_is_named(tmp_path):
    nlp = make_nlp()
    nlp.to_disk(tmp_path)
    (tmp_path / "multitask" / "heads" / "slots").unlink()
    with fails("'multitask'", "head 'slots' is in the config, but not saved", "['intent']"):
        spacy.load(tmp_path)
    only_intent = spacy.blank("en").from_config(config_without(tmp_path, "slots"))
    only_intent.initialize(lambda: make_examples(only_intent))
    with fails("head 'slots' is in the config, but not saved", "['intent']"):
        nlp.get_pipe("multitask").from_bytes(only_intent.get_pipe("multitask").to_bytes())


def test_a_pipeline_of_the_old_format_says_so(tmp_path):
    make_nlp().to_disk(tmp_path)
    folder = tmp_path / "multitask"
    (folder / "encoder").rename(folder / "model")
    with fails("'multitask'", "one file", "train it again"):
        spacy.load(tmp_path)


def test_odd_texts_do_no_harm():
    nlp = make_nlp()
    texts = ["", " ", "\n\n\t", "🤷‍♀️", "﷽", "a" * 5000, "\u200b", "\ud7a3\u0000", "e\u0301" * 30]
    docs = list(nlp.pipe(texts))
    assert len(docs) == len(texts)
    for doc in docs:
        assert all(not ent[0].is_space and not ent[-1].is_space for ent in doc.ents)
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in docs]
    nlp.update(examples, sgd=nlp.create_optimizer())


def test_white_space_is_never_at_the_edge_of_an_entity():
    nlp = make_nlp()
    words = ["play", " ", "jazz", "\n", "rock", "  ", "in", "Berlin", " "]
    reference = Doc(nlp.vocab, words=words, ents=["O", "O", "B-GENRE", "I-GENRE", "I-GENRE", "O", "O", "B-LOC", "O"])
    reference.cats = {"play": 1.0, "ask": 0.0}
    train(nlp, [Example(Doc(nlp.vocab, words=words), reference)], steps=40)
    doc = nlp(Doc(nlp.vocab, words=words))
    assert [(ent.start, ent.end, ent.label_) for ent in doc.ents] == [(2, 5, "GENRE"), (7, 8, "LOC")]


def test_a_failing_training_leaves_the_best_model_loadable(tmp_path):
    """spaCy saves what it has when training stops with an error; that must load."""
    nlp = make_nlp()
    DocBin(docs=[eg.reference for eg in make_examples(nlp)] * 5).to_disk(tmp_path / "train.spacy")
    bad = relabelled(nlp, ent="TOWN").reference
    bad.cats = {"play": 1.0, "ask": 0.0}
    labels = {"intent": ["ask", "play"], "slots": ["GENRE", "LOC", "PER"]}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    DocBin(docs=[eg.reference for eg in make_examples(nlp)] * 5 + [bad]).to_disk(tmp_path / "bad.spacy")
    config = nlp.config.copy()
    config["corpora"] = {
        name: {"@readers": "spacy.Corpus.v1", "path": str(tmp_path / file), "max_length": 0}
        for name, file in (("train", "bad.spacy"), ("dev", "train.spacy"))
    }
    config["initialize"]["components"]["multitask"] = {
        "labels": {"@readers": "spacy.read_labels.v1", "path": str(tmp_path / "labels.json")}
    }
    config["training"]["eval_frequency"] = 1
    config["training"]["batcher"] = {"@batchers": "spacy.batch_by_sequence.v1", "size": 4}
    config.to_disk(tmp_path / "config.cfg")
    command = [sys.executable, "-m", "spacy", "train", str(tmp_path / "config.cfg"), "--output", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "head 'slots': label 'TOWN' in doc 'stop Berlin'" in result.stdout + result.stderr
    spacy.load(tmp_path / "out" / "model-last")
