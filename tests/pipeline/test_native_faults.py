"""Two faults of spaCy's own joint pipelines are reproduced, and shown to be absent in this component."""

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, LISTENER, has_moved, heads_config, make_examples, make_nlp, weights_of
from thinc.api import Adam, fix_random_seed

ORDERS = [("intent", "slots"), ("slots", "intent")]


def native_nlp(*names):
    """spaCy's own components on the listener of one tok2vec."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": ENCODER})
    for name in names:
        nlp.add_pipe(name, config={"model": {"tok2vec": LISTENER}})
    nlp.initialize(lambda: make_examples(nlp))
    return nlp


def joint_nlp(*order, listener=True):
    heads = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})
    return make_nlp({name: heads[name] for name in order}, listener=listener)


def encoder_moves(nlp, **gold):
    """Whether one update changes the shared encoder. spaCy lets a tok2vec pipe take its step before the pipes that
    listen to it have backpropagated, so the gradient of one update is applied by the next.
    """
    tok2vec, optimizer = nlp.get_pipe("tok2vec"), Adam(0.001)
    before = weights_of(tok2vec)
    nlp.update(make_examples(nlp, **gold), sgd=optimizer)
    tok2vec.finish_update(optimizer)
    return has_moved(before, weights_of(tok2vec))


def test_native_pipelines_lose_the_gradient_of_all_but_the_last_listener():
    assert not encoder_moves(native_nlp("textcat_multilabel", "ner"), ents=False)
    assert encoder_moves(native_nlp("ner", "textcat_multilabel"), ents=False)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("gold", [{"ents": False}, {"cats": False}, {}])
def test_every_batch_moves_the_encoder_whatever_the_order_of_heads(order, gold):
    assert encoder_moves(joint_nlp(*order), **gold)


def test_the_order_of_heads_does_not_matter_at_all():
    moved = []
    for order in ORDERS:
        nlp = joint_nlp(*order)
        assert encoder_moves(nlp)
        moved.append(weights_of(nlp.get_pipe("tok2vec")))
    assert all(np.array_equal(moved[0][key], moved[1][key]) for key in moved[0])


def learn(nlp, examples, *, steps):
    optimizer = Adam(0.001)
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer)


def confidence(nlp):
    return np.mean([max(nlp(eg.reference.text).cats.values()) for eg in make_examples(nlp)])


def test_native_textcat_reads_docs_without_cats_as_every_class_being_wrong():
    nlp = native_nlp("ner", "textcat")
    learn(nlp, make_examples(nlp), steps=40)
    assert confidence(nlp) > 0.95
    learn(nlp, make_examples(nlp, cats=False), steps=60)
    assert confidence(nlp) < 0.75


@pytest.mark.parametrize("order", ORDERS)
def test_docs_without_cats_leave_the_classifier_as_it_was(order):
    nlp = joint_nlp(*order)
    learn(nlp, make_examples(nlp), steps=40)
    assert confidence(nlp) > 0.95
    head = nlp.get_pipe("multitask").heads["intent"]
    before = weights_of(head)
    learn(nlp, make_examples(nlp, cats=False), steps=60)
    assert not has_moved(before, weights_of(head))
    assert confidence(nlp) > 0.85
