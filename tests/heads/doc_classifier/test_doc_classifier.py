"""The document classifier against formulas worked out by hand."""

import math

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, LISTENER, heads_config, make_examples, make_nlp, train
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example

from spacy_mtl.heads.doc_classifier.doc_classifier import make_doc_classifier_v1

SCORES = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]], dtype="f")


def head(**settings):
    made = make_doc_classifier_v1(**settings)
    for label in "abc":
        made.add_label(label)
    return made


def examples(*cats):
    vocab = spacy.blank("en").vocab
    found = [Example(Doc(vocab, words=["x"]), Doc(vocab, words=["x"])) for _ in cats]
    for eg, each in zip(found, cats, strict=True):
        eg.reference.cats = dict(each)
    return found


def softmax(row):
    return np.exp(row) / np.exp(row).sum()


def test_exclusive_loss_is_cross_entropy_over_all_docs_of_the_batch():
    loss, gradient = head().get_loss(examples({"a": 1.0, "b": 0.0, "c": 0.0}, {}), SCORES)
    p = softmax(SCORES[0])
    assert loss == pytest.approx(-math.log(p[0]) / 2)
    assert gradient == pytest.approx(np.array([p - [1, 0, 0], [0, 0, 0]]) / 2, abs=1e-6)


def test_a_single_key_is_enough():
    whole = head().get_loss(examples({"a": 1.0, "b": 0.0, "c": 0.0}), SCORES[:1])[0]
    assert head().get_loss(examples({"a": 1.0}), SCORES[:1])[0] == pytest.approx(whole)


def test_classes_that_are_ruled_out_leave_the_others():
    loss, gradient = head().get_loss(examples({"a": 0.0}), SCORES[:1])
    p = softmax(SCORES[0])
    rest = p[1] + p[2]
    assert loss == pytest.approx(-math.log(rest))
    assert gradient == pytest.approx(np.array([[p[0], p[1] - p[1] / rest, p[2] - p[2] / rest]]), abs=1e-6)


def test_loss_with_label_smoothing_equals_the_formula():
    gold = examples({"a": 1.0, "b": 0.0, "c": 0.0})
    loss, gradient = head(label_smoothing=0.1, class_weights={"a": 2.0}).get_loss(gold, SCORES[:1])
    p, target = softmax(SCORES[0]), np.array([0.9, 0.05, 0.05])
    assert loss == pytest.approx(-2.0 * (target * np.log(p)).sum())
    assert gradient == pytest.approx(2.0 * np.array([p - target]), abs=1e-6)


def test_multilabel_loss_leaves_absent_keys_out():
    loss, gradient = head(exclusive=False).get_loss(examples({"a": 1.0, "c": 0.0}), SCORES[:1])
    p = 1 / (1 + np.exp(-SCORES[0]))
    assert loss == pytest.approx(-math.log(p[0]) - math.log(1 - p[2]), rel=1e-5)
    assert gradient == pytest.approx(np.array([[p[0] - 1, 0.0, p[2]]]), abs=1e-6)


@pytest.mark.parametrize("exclusive", [True, False])
def test_class_weights_scale_loss_and_gradient(exclusive):
    gold = examples({"a": 0.0, "b": 1.0, "c": 0.0})
    plain = head(exclusive=exclusive).get_loss(gold, SCORES[1:])
    weighted = head(exclusive=exclusive, class_weights={"b": 3.0}).get_loss(gold, SCORES[1:])
    assert weighted[1][0, 1] == pytest.approx(3 * plain[1][0, 1])
    if exclusive:
        assert weighted[0] == pytest.approx(3 * plain[0])


def test_saturated_scores_stay_finite():
    extreme = np.array([[1e4, -1e4, 0.0]], dtype="f")
    for exclusive in (True, False):
        loss, gradient = head(exclusive=exclusive).get_loss(examples({"a": 0.0, "b": 1.0, "c": 0.0}), extreme)
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()


def test_several_heads_with_prefixes_share_doc_cats():
    heads = heads_config(
        topic={"kind": "DocClassifier", "label_prefix": "topic="},
        mood={"kind": "DocClassifier", "label_prefix": "mood=", "exclusive": False},
    )
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    pipe = nlp.add_pipe("multitask", config={"model": model, "heads": heads})
    cats = [
        {"topic=yes": 1.0, "topic=no": 0.0, "mood=yes": 0.0, "mood=no": 1.0},
        {"topic=yes": 0.0, "topic=no": 1.0, "mood=yes": 1.0, "mood=no": 1.0},
    ]
    gold = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in ("a b", "c d")]
    for eg, each in zip(gold, cats, strict=True):
        eg.reference.cats = each
    nlp.initialize(lambda: gold)
    assert pipe.label_data == {"topic": ["no", "yes"], "mood": ["no", "yes"]}
    train(nlp, gold, steps=60)
    assert {key for key, value in nlp("c d").cats.items() if value > 0.5} == {"topic=no", "mood=yes", "mood=no"}
    scores = nlp.evaluate(gold)
    assert scores["topic_acc"] == scores["mood_macro_f"] == 1.0
    assert "cats_score" not in scores


def test_scores_agree_with_spacys_own():
    nlp = make_nlp(heads_config(intent={"kind": "DocClassifier"}))
    gold = make_examples(nlp)
    ours = nlp.evaluate(gold)
    for eg in gold:
        eg.predicted = nlp(eg.predicted)
    theirs = Scorer.score_cats(gold, "cats", labels=("ask", "play"), multi_label=False)
    assert {key: ours[key] for key in theirs if key in ours} == {k: v for k, v in theirs.items() if k in ours}
    assert "cats_macro_f" in ours


def test_a_doc_of_a_class_never_seen_counts_as_wrong():
    nlp = make_nlp(heads_config(intent={"kind": "DocClassifier"}))
    gold = make_examples(nlp)[:1]
    gold[0].reference.cats = {"play": 0.0, "ask": 0.0, "new": 1.0}
    assert nlp.evaluate(gold)["intent_acc"] == 0.0


def test_learns_over_a_listener_and_survives_reloading(tmp_path):
    nlp = make_nlp(heads_config(intent={"kind": "DocClassifier", "pooling": ["attention"]}), listener=True)
    train(nlp, make_examples(nlp), steps=60)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    for eg in make_examples(loaded):
        cats = loaded(eg.reference.text).cats
        assert cats == nlp(eg.reference.text).cats
        assert max(cats, key=cats.get) == max(eg.reference.cats, key=eg.reference.cats.get)
    assert LISTENER["width"] == loaded.get_pipe("multitask").encoder.get_dim("nO")


def judged(made, gold, predicted):
    """Whether a prediction, given as one number a class, is right for this gold."""
    (eg,) = examples(gold)
    eg.predicted.cats = dict(zip(made.keys, predicted, strict=True))
    return made.is_correct(eg)


A, B, C = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)


@pytest.mark.parametrize(
    ("gold", "right"),
    [
        ({"a": 1.0, "b": 0.0, "c": 0.0}, [True, False, False]),
        ({"b": 1.0}, [False, True, False]),
        ({"a": 0.5, "b": 0.5}, [True, True, False]),
        ({"a": 0.0}, [False, True, True]),
        ({"a": 0.0, "c": 0.0}, [False, True, False]),
        ({"a": 0.0, "of another head": 1.0}, [False, True, True]),
        ({"a": 1.0, "of another head": 1.0}, [True, False, False]),
        ({"of another head": 1.0}, [None, None, None]),
        ({}, [None, None, None]),
    ],
)
def test_an_exclusive_prediction_is_judged_by_the_heads_own_classes(gold, right):
    assert [judged(head(), gold, predicted) for predicted in (A, B, C)] == right


def test_a_doc_whose_classes_are_only_ruled_out_counts_for_the_accuracy_alone():
    made = head()
    gold = examples({"a": 1.0, "b": 0.0, "c": 0.0}, {"b": 0.0}, {"b": 0.0})
    for eg, predicted in zip(gold, (A, B, C), strict=True):
        eg.predicted.cats = dict(zip(made.keys, predicted, strict=True))
    scores = made.score(gold)
    assert scores["acc"] == pytest.approx(2 / 3)
    assert scores["micro_f"] == made.score(gold[:1])["micro_f"] == 1.0
    ruled_out = made.score(gold[1:])
    assert ruled_out["acc"] == 0.5
    assert ruled_out["micro_f"] is None


def test_a_class_never_seen_is_a_false_positive_of_the_predicted_one():
    nlp = make_nlp(heads_config(intent={"kind": "DocClassifier"}))
    gold = make_examples(nlp)[:1]
    gold[0].reference.cats = {"play": 0.0, "ask": 0.0, "new": 1.0}
    types = nlp.evaluate(gold)["intent_f_per_type"]
    assert all(scores["f"] == 0.0 for scores in types.values())


def test_two_heads_without_prefix_share_cats():
    heads = heads_config(topic={"kind": "DocClassifier"}, mood={"kind": "DocClassifier"})
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    pipe = nlp.add_pipe("multitask", config={"model": model, "heads": heads})
    gold = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in ("a b", "c d")]
    gold[0].reference.cats = {"art": 1.0, "sport": 0.0, "happy": 0.0, "sad": 1.0}
    gold[1].reference.cats = {"art": 0.0, "sport": 1.0, "happy": 1.0, "sad": 0.0}
    pipe.initialize(lambda: gold, nlp=nlp, labels={"topic": ["art", "sport"], "mood": ["happy", "sad"]})
    train(nlp, gold, steps=60)
    scores = nlp.evaluate(gold)
    assert [scores[key] for key in ("topic_acc", "mood_acc", "multitask_exact")] == [1.0, 1.0, 1.0]


def test_keys_are_made_once_for_all_docs(monkeypatch):
    made = head(label_prefix="x=")
    gold = examples(*[{"x=a": 1.0}] * 20)
    for eg in gold:
        eg.predicted.cats = {"x=a": 0.8, "x=b": 0.1, "x=c": 0.1}
    calls = []
    monkeypatch.setattr(type(made), "keys", property(lambda self: calls.append(1) or ("x=a", "x=b", "x=c")))
    made.score(gold)
    assert len(calls) <= 3


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_evaluate_takes_a_threshold(threshold):
    nlp = make_nlp(heads_config(intent={"kind": "DocClassifier", "exclusive": False}))
    train(nlp, make_examples(nlp), steps=1)
    pipe = nlp.get_pipe("multitask")
    for eg in make_examples(nlp):
        assert all(0.05 < value < 0.95 for value in nlp(eg.reference.text).cats.values())
    scores = nlp.evaluate(make_examples(nlp), scorer_cfg={"threshold": 0.05})
    assert scores["intent_macro_f"] == pytest.approx(2 / 3)
    assert scores["intent_acc"] == scores["multitask_exact"] == 0.0
    assert scores["multitask_score"] == scores["intent_macro_f"]
    assert pipe.heads["intent"].threshold == 0.5
    pipe.heads["intent"].threshold = threshold
    expected = nlp.evaluate(make_examples(nlp))
    pipe.heads["intent"].threshold = 0.3
    found = nlp.evaluate(make_examples(nlp), scorer_cfg={"threshold": threshold})
    names = ("intent_macro_f", "intent_acc", "multitask_score", "multitask_exact")
    assert [found[name] for name in names] == [expected[name] for name in names]


@pytest.mark.parametrize("settings", [{"count_classes": True}, {"near_tokens": True}])
def test_exclusive_classes_refuse_what_is_for_several_classes(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"{name} is .*, but the classes are exclusive"):
        make_doc_classifier_v1(**settings)


TOPICS = [
    ("play jazz and book a table", {"play": 1.0, "book": 1.0, "ask": 0.0}),
    ("play jazz", {"play": 1.0, "book": 0.0, "ask": 0.0}),
    ("who is it and book a room", {"play": 0.0, "book": 1.0, "ask": 1.0}),
    ("nothing", {"play": 0.0, "book": 0.0, "ask": 0.0}),
]


def topic_examples(nlp):
    found = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text, _ in TOPICS]
    for eg, (_, cats) in zip(found, TOPICS, strict=True):
        eg.reference.cats = dict(cats)
    return found


@pytest.mark.parametrize("settings", [{"count_classes": True}, {"near_tokens": True}])
def test_options_for_several_classes_learn_and_are_saved(settings, tmp_path):
    nlp = make_nlp(
        heads_config(topic={"kind": "DocClassifier", "exclusive": False, **settings}), examples=topic_examples
    )
    train(nlp, topic_examples(nlp), steps=60)
    assert nlp.evaluate(topic_examples(nlp))["topic_acc"] == 1.0
    everything = nlp.evaluate(topic_examples(nlp), scorer_cfg={"threshold": 0.0})
    assert everything["topic_acc"] < everything["topic_micro_r"] == 1.0
    nlp.to_disk(tmp_path)
    override = {"components": {"multitask": {"heads": {"topic": {"threshold": 0.3}}}}}
    for loaded in (spacy.load(tmp_path), spacy.load(tmp_path, config=override)):
        assert [loaded(text).cats for text, _ in TOPICS] == [nlp(text).cats for text, _ in TOPICS]
    pipe = loaded.get_pipe("multitask")
    assert pipe.heads["topic"].threshold == 0.3
    assert pipe.confidences([nlp.make_doc(text) for text, _ in TOPICS])["topic"].shape == (4,)
    assert pipe.add_label("new", head="topic")
    assert set(loaded(TOPICS[0][0]).cats) == {"play", "book", "ask", "new"}


def test_a_certain_count_decides_how_many_classes_are_predicted():
    nlp = make_nlp(
        heads_config(topic={"kind": "DocClassifier", "exclusive": False, "count_classes": True}),
        examples=topic_examples,
    )
    counts = nlp.get_pipe("multitask").heads["topic"].model.get_ref("counts")
    for number in range(4):
        counts.get_param("b")[:] = 0.0
        counts.get_param("b")[number] = 50.0
        for text, _ in TOPICS:
            assert sum(value >= 0.5 for value in nlp(text).cats.values()) == number
