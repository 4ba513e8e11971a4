"""The loss of a head with gold and soft targets: shares, annealing, docs with one of the two, and the component."""

import numpy as np
import pytest
from pipelines import heads_config, make_examples, make_nlp

from spacy_mtl.pipeline.taught_loss import get_loss_with_teacher
from spacy_mtl.protocols.soft_targets import SoftTarget
from spacy_mtl.teaching import Teaching, is_taught, teach, teaching_of

HEADS = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})
SCORES = np.array([[0.5, -1.0], [2.0, 0.0], [0.0, 0.0], [-1.0, 1.0]])
TARGET = SoftTarget("exclusive", ("ask", "play"), 1.0, np.array([[0, 1]]), np.array([[1.0, -1.0]], dtype="f"))


@pytest.fixture
def nlp():
    return make_nlp(HEADS)


def loss_of(nlp, examples, step=0):
    return get_loss_with_teacher("intent", nlp.get_pipe("multitask").heads["intent"], examples, SCORES, step=step)


def mean_of(pairs):
    """What the loss of docs should be, and its gradient: of (share of gold, share of target) by doc."""
    gold = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    shares = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
    soft = np.exp([1.0, -1.0]) / np.exp([1.0, -1.0]).sum()
    loss, gradient = 0.0, np.zeros((4, 2))
    for row, (of_gold, of_target) in enumerate(pairs):
        for share, target in ((of_gold, gold[row]), (of_target, soft)):
            loss -= share * (target * np.log(shares[row])).sum() / 4
            gradient[row] += share * (shares[row] - target) / 4
    return loss, gradient


def check(found, pairs):
    loss, gradient = mean_of(pairs)
    assert found[0] == pytest.approx(loss, abs=1e-6)
    np.testing.assert_allclose(found[1], gradient, atol=1e-6)


def taught(nlp, rows, **options):
    examples = make_examples(nlp)
    for row in rows:
        teach(examples[row].reference, Teaching({"intent": TARGET}, **options))
    return examples


def test_without_a_teacher_the_gold_counts(nlp):
    check(loss_of(nlp, taught(nlp, [])), [(1, 0)] * 4)


def test_shares_of_gold_and_teacher(nlp):
    check(loss_of(nlp, taught(nlp, [0, 2], gold_share=0.25)), [(0.25, 0.75), (1, 0), (0.25, 0.75), (1, 0)])


@pytest.mark.parametrize(("step", "share"), [(0, 0.0), (5, 0.25), (10, 0.5), (20, 1.0), (30, 1.0)])
def test_the_gold_takes_over(nlp, step, share):
    found = loss_of(nlp, taught(nlp, [0, 1], anneal_steps=20), step)
    check(found, [(share, 1 - share)] * 2 + [(1, 0)] * 2)


def test_annealing_begins_at_the_share():
    teaching = Teaching({}, gold_share=0.4, anneal_steps=10)
    assert [teaching.share_at(step) for step in (0, 5, 10)] == pytest.approx([0.4, 0.7, 1.0])


def test_a_doc_without_gold_learns_from_its_teacher_until_the_end(nlp):
    examples = taught(nlp, [0, 1, 2, 3], anneal_steps=20)
    for eg in examples[:2]:
        eg.reference.cats = {}
    check(loss_of(nlp, examples, 20), [(0, 1), (0, 1), (1, 0), (1, 0)])
    for eg in examples:
        eg.reference.cats = {}
    check(loss_of(nlp, examples, 20), [(0, 1)] * 4)


def test_the_component_learns_from_targets_alone(nlp):
    examples = taught(nlp, [0, 1, 2, 3])
    for eg in examples:
        eg.reference.cats = {}
    pipe = nlp.get_pipe("multitask")
    optimizer = nlp.create_optimizer()
    losses = [nlp.update(examples, sgd=optimizer, losses={}) for _ in range(40)]
    assert losses[0]["multitask/intent"] > losses[-1]["multitask/intent"] > 0
    assert losses[0]["multitask/slots"] > losses[-1]["multitask/slots"]
    shares = [doc.cats["ask"] for doc in nlp.pipe([eg.text for eg in examples])]
    assert shares == pytest.approx([np.exp(1) / (np.exp(1) + np.exp(-1))] * 4, abs=0.1)
    assert pipe.cfg["n_steps"] == 40


def test_the_component_anneals_by_its_steps(nlp):
    examples = taught(nlp, [0, 1, 2, 3], anneal_steps=10)
    pipe = nlp.get_pipe("multitask")
    before = pipe.update(examples, losses={})["multitask/intent"]
    pipe.drop_gradients()
    pipe.cfg["n_steps"] = 10
    after = pipe.update(examples, losses={})["multitask/intent"]
    pipe.drop_gradients()
    gold = pipe.update(make_examples(nlp), losses={})["multitask/intent"]
    assert after == pytest.approx(gold)
    assert before != pytest.approx(gold)


def test_the_targets_of_a_doc():
    nlp = make_nlp(HEADS)
    doc = nlp.make_doc("play")
    assert teaching_of(doc) is None
    assert not is_taught(doc, "intent")
    teach(doc, Teaching({"intent": TARGET}))
    assert is_taught(doc, "intent")
    assert not is_taught(doc, "slots")


def test_a_target_of_other_tokens_is_refused(nlp):
    examples = make_examples(nlp)
    target = SoftTarget("chain", ("O",), 1.0, np.zeros((2, 1), dtype=int), np.ones((2, 1), dtype="f"))
    teach(examples[0].reference, Teaching({"slots": target}))
    head = nlp.get_pipe("multitask").heads["slots"]
    with pytest.raises(ValueError, match="head 'slots': the soft target has 2 tokens, but the doc 'play some jazz"):
        get_loss_with_teacher("slots", head, examples, SCORES, step=0)


def test_a_head_without_the_protocol_is_refused(nlp):
    heads = heads_config(spans={"kind": "SpanClassifier"})
    head = make_nlp({"intent": HEADS["intent"], **heads}, examples=with_spans).get_pipe("multitask").heads["spans"]
    examples = with_spans(nlp)
    teach(examples[0].reference, Teaching({"spans": TARGET}))
    with pytest.raises(ValueError, match="head 'spans': a SpanClassifier can't learn from soft targets"):
        get_loss_with_teacher("spans", head, examples, SCORES, step=0)


def with_spans(nlp):
    examples = make_examples(nlp)
    for eg in examples:
        eg.reference.spans["sc"] = list(eg.reference.ents)
    return examples
