"""The domain adversary: what it learns, which gradient it sends to the encoder, and what it leaves unchanged."""

import random

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, heads_config, make_nlp, train
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import SGD, fix_random_seed

from spacy_mtl.heads.domain_adversary.domain_adversary import make_domain_adversary_v1
from spacy_mtl.origin import mark

SCORES = np.array([[2.0, 0.0], [0.5, 0.5], [1.0, -1.0]], dtype="f")


def head(*labels, **settings):
    made = make_domain_adversary_v1(**({"total_steps": 10} | settings))
    for label in labels:
        made.add_label(label)
    return made


def examples(*domains):
    """An example for each domain; None is a doc without one."""
    vocab = spacy.blank("en").vocab
    found = [Example(Doc(vocab, words=["x"]), Doc(vocab, words=["x"])) for _ in domains]
    for eg, domain in zip(found, domains, strict=True):
        if domain is not None:
            mark(eg.reference, domain)
    return found


def with_cats(*cats):
    found = examples(*[None] * len(cats))
    for eg, each in zip(found, cats, strict=True):
        eg.reference.cats = dict(each)
    return found


def test_loss_is_cross_entropy_over_all_docs_of_the_batch():
    loss, gradient = head("news", "web").get_loss(examples("web", None, "news"), SCORES)
    first, last = (np.exp(row) / np.exp(row).sum() for row in SCORES[[0, 2]])
    assert loss == pytest.approx(-(np.log(first[1]) + np.log(last[0])) / 3)
    assert gradient == pytest.approx(np.array([first - [0, 1], [0, 0], last - [1, 0]]) / 3, abs=1e-6)
    assert head("news", "web").get_loss(examples(None), SCORES[:1]) == (0.0, None)


def test_domain_is_the_positive_key_with_the_prefix():
    gold = with_cats({"genre=web": 1.0, "genre=news": 0.0, "joy": 1.0}, {"joy": 1.0}, {"genre=news": 1.0})
    made = head(prefix="genre=")
    made.collect_labels(gold)
    assert made.labels == ("news", "web")
    by_corpus = head("news", "web").get_loss(examples("web", None, "news"), SCORES)
    loss, gradient = made.get_loss(gold, SCORES)
    assert loss == by_corpus[0]
    assert np.array_equal(gradient, by_corpus[1])


def test_refused():
    with pytest.raises(ValueError, match=r"'domain_adversary'.*of 2 domains: \['a', 'b'\].*keep one"):
        head("a", "b", prefix="g=").get_loss(with_cats({"g=a": 1.0, "g=b": 1.0}), SCORES[:1])
    with pytest.raises(ValueError, match=r"domain 'new' of doc 'x.*was not seen.*add_label\('new'"):
        head("a", "b").get_loss(examples("new"), SCORES[:1])
    for settings in ({"total_steps": 0}, {"gamma": 0.0}, {"max_lambda": -1.0}, {"pooling": []}):
        with pytest.raises(ValueError, match=f"DomainAdversary: {next(iter(settings))}"):
            head(**settings)


def test_one_domain_is_refused():
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"heads": heads_config(domain={"kind": "DomainAdversary", "total_steps": 1})})
    with pytest.raises(ValueError, match=r"its domains are \['a'\]; it needs docs of two"):
        nlp.initialize(lambda: examples("a", "a"))


def test_no_head_is_conditioned_on_it():
    heads = heads_config(
        domain={"kind": "DomainAdversary", "total_steps": 10},
        slots={"kind": "EntityRecognizer", "condition_on": "domain"},
    )
    nlp = spacy.blank("en")
    with pytest.raises(ValueError, match="head 'slots': condition_on names 'domain', but a DomainAdversary has no"):
        nlp.add_pipe("multitask", config={"heads": heads})


def made_examples(nlp, size):
    """Docs of two domains: half of the words tell the domain, and the others the intent."""
    rng = random.Random(size)
    found = []
    for _ in range(size):
        domain, intent = rng.choice(["news", "web"]), rng.choice(["ask", "play"])
        words = [f"{rng.choice([domain, intent])}{rng.randrange(3)}" for _ in range(5)] + [f"{domain}0", f"{intent}0"]
        rng.shuffle(words)
        reference = Doc(nlp.vocab, words=words, ents=["O"] * 6 + ["B-PER"])
        reference.cats = {"ask": float(intent == "ask"), "play": float(intent == "play")}
        found.append(Example(Doc(nlp.vocab, words=words), mark(reference, domain)))
    return found


SMALL = ENCODER | {"width": 8, "depth": 1, "subword_features": False}


def make_two_heads(*, encoder=ENCODER, **settings):
    """A pipeline with an intent and a domain adversary."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    heads = heads_config(
        intent={"kind": "DocClassifier"}, domain={"kind": "DomainAdversary", "total_steps": 40, **settings}
    )
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    nlp.add_pipe("multitask", config={"model": model, "heads": heads})
    nlp.initialize(lambda: made_examples(nlp, 40))
    return nlp


def probe(nlp):
    """The share of new docs whose domain a fresh linear classifier tells from the mean of the shared vectors."""

    def read(size):
        gold = made_examples(nlp, size)
        tokvecs = nlp.get_pipe("multitask").encoder.predict([eg.predicted for eg in gold])
        means = [part.mean(axis=0) for part in np.split(tokvecs.dataXd, np.cumsum(tokvecs.lengths)[:-1])]
        domains = np.array([eg.reference.user_data["spacy_mtl.corpus"] == "web" for eg in gold])
        return np.c_[np.array(means), np.ones(size)], domains

    (known, domains), (new, expected) = read(300), read(301)
    weights = np.linalg.solve(known.T @ known + 0.1 * np.eye(known.shape[1]), known.T @ (2.0 * domains - 1.0))
    return float(((new @ weights > 0) == expected).mean())


def test_the_encoder_unlearns_the_domain_and_keeps_the_intent():
    measured = {}
    for max_lambda in (0.0, 1.0):
        nlp = make_two_heads(max_lambda=max_lambda, total_steps=200, encoder=SMALL)
        nlp.resume_training()
        sgd = SGD(0.1, L2=0.0, grad_clip=1.0)
        for step in range(600):
            nlp.update(made_examples(nlp, 60 + step % 7), sgd=sgd)
        scores = nlp.evaluate(made_examples(nlp, 100))
        assert scores["intent_acc"] > 0.95
        measured[max_lambda] = probe(nlp), scores["domain_acc"]
    assert min(measured[0.0]) > 0.9
    assert measured[1.0][1] < 0.85
    # How much a new classifier still finds after so few steps differs between processors.
    assert measured[1.0][0] < measured[0.0][0] - 0.05


def test_a_step_makes_the_frozen_classifier_worse():
    """The encoder moves against it, and with max_lambda = 0 it does not move at all."""
    for max_lambda in (0.0, 1.0):
        nlp = make_two_heads(max_lambda=max_lambda, total_steps=1)
        pipe, gold = nlp.get_pipe("multitask"), made_examples(nlp, 40)
        head = pipe.heads["domain"]
        head.model.get_ref("reversal").attrs["step"] = 1
        losses = []
        for _ in range(3):
            scores, backprop = pipe.model.begin_update([eg.predicted for eg in gold])
            loss, d_scores = head.get_loss(gold, scores["domain"])
            losses.append(loss)
            backprop({"domain": d_scores})
            pipe.encoder.finish_update(SGD(0.05, L2=0.0, grad_clip=1.0))
        assert losses == sorted(losses)
        assert (losses[2] > losses[0]) == bool(max_lambda)


def test_it_writes_nothing_and_is_not_run_to_predict():
    nlp = make_two_heads()
    pipe = nlp.get_pipe("multitask")
    doc = nlp("news0 ask0")
    assert set(doc.cats) == {"ask", "play"}
    assert not doc.user_data
    assert set(pipe.predict([nlp.make_doc("news0")])) == {"intent"}
    assert pipe.labels == ("intent:ask", "intent:play", "domain:news", "domain:web")


def test_its_accuracy_enters_no_other_score():
    nlp = make_two_heads()
    gold = made_examples(nlp, 20)
    train(nlp, gold, steps=60)
    for eg in gold[:5]:
        mark(eg.reference, "unknown")
    scores = nlp.evaluate(gold)
    assert scores["intent_acc"] == scores["multitask_score"] == scores["multitask_exact"] == 1.0
    assert 0.0 <= scores["domain_acc"] <= 1.0
    assert scores["web/domain_acc"] is not None
    assert "unknown/domain_acc" not in scores
    assert nlp.get_pipe("multitask").main_scores == {"intent": 1.0}


def test_only_updates_with_a_domain_are_counted_and_the_count_is_saved(tmp_path):
    nlp = make_two_heads()
    optimizer = nlp.create_optimizer()
    gold = made_examples(nlp, 4)
    nlp.update(gold, sgd=optimizer)
    nlp.update(gold, sgd=optimizer)
    for eg in gold:
        eg.reference.user_data.clear()
    nlp.update(gold, sgd=optimizer)
    nlp.evaluate(gold)
    nlp("news0")
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    for pipeline in (nlp, loaded):
        reversal = pipeline.get_pipe("multitask").heads["domain"].model.get_ref("reversal")
        assert reversal.attrs["step"] == 2


def test_a_classifier_may_learn_the_same_cats():
    heads = heads_config(
        genre={"kind": "DocClassifier"}, domain={"kind": "DomainAdversary", "total_steps": 10, "prefix": ""}
    )
    nlp = make_nlp(heads)
    assert nlp.get_pipe("multitask").label_data == {"genre": ["ask", "play"], "domain": ["ask", "play"]}
    assert set(nlp("play").cats) == {"ask", "play"}


def test_a_domain_that_is_added_later_changes_no_prediction():
    nlp = make_two_heads()
    pipe = nlp.get_pipe("multitask")
    docs = [eg.predicted for eg in made_examples(nlp, 5)]
    before = pipe.model.predict(docs)["domain"]
    assert pipe.add_label("third", head="domain") == 1
    assert np.array_equal(pipe.model.predict(docs)["domain"][:, :2], before)


def test_rehearsal_leaves_it_alone():
    nlp = make_two_heads()
    nlp.resume_training()
    losses = nlp.rehearse(made_examples(nlp, 4), sgd=nlp.create_optimizer())
    assert losses["multitask"] > 0
    reversal = nlp.get_pipe("multitask").heads["domain"].model.get_ref("reversal")
    assert reversal.attrs["step"] == 0
