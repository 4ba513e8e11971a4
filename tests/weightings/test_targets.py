"""Weights by shortfall: by hand, and from the component's own scores."""

import pytest
from balancing import make_cnn, make_examples, use
from pipelines import train

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.targets import make_targets_v1


def test_two_heads_by_hand():
    """a is half of what is asked: 1 + 4 * 0.5 against 1."""
    weighting = make_targets_v1({"a": 0.8}, {"b": 3.0})
    losses = {"a": 1.0, "b": 1.0}
    assert weighting.weights(losses, Step(0)) == {"a": 1.0, "b": 3.0}
    assert weighting.weights(losses, Step(1, scores={"a": 0.4, "b": 0.1})) == pytest.approx({"a": 1.5, "b": 3 * 0.5})
    assert weighting.weights(losses, Step(2, scores={})) == pytest.approx({"a": 1.5, "b": 1.5})
    assert weighting.weights(losses, Step(3, scores={"a": 0.9})) == {"a": 1.0, "b": 3.0}


def test_three_heads_by_hand():
    """Lags of 0.5, 0.1 and 0 (no score): 2, 1.2 and 1, of 4.2."""
    weighting = make_targets_v1({"a": 0.8, "b": 1.0, "c": 0.5}, strength=2.0)
    found = weighting.weights(dict.fromkeys("abc", 1.0), Step(0, scores={"a": 0.4, "b": 0.9, "c": None}))
    assert found == pytest.approx({"a": 6 / 4.2, "b": 3.6 / 4.2, "c": 3 / 4.2})


def test_scores_of_the_last_evaluation_count():
    """Through the component: the head that has learned nothing gets more."""
    nlp = make_cnn(use("Targets", targets={"intent": 1.0, "slots": 1.0}))
    train(nlp, make_examples(nlp, ents=False), steps=30)
    scores = nlp.evaluate(make_examples(nlp))
    assert scores["intent_macro_f"] > scores["slots_f"] + 0.5
    pipe = nlp.get_pipe("multitask")
    losses = nlp.update(make_examples(nlp), sgd=False, losses={})
    lags = {"intent": 1 - scores["intent_macro_f"], "slots": 1 - scores["slots_f"]}
    assert pipe.weighting.lags == pytest.approx(lags)
    factors = {name: 2 * (1 + 4 * lag) / (2 + 4 * sum(lags.values())) for name, lag in lags.items()}
    expected = sum(factor * losses[f"multitask/{name}"] for name, factor in factors.items())
    assert losses["multitask"] == pytest.approx(expected)


@pytest.mark.parametrize("target", [0.0, 1.5, float("nan")])
def test_a_target_that_is_no_score(target):
    with pytest.raises(ValueError, match=rf"Targets\.v1: targets must be scores.*'a': {target}"):
        make_targets_v1({"a": target})


def test_a_target_for_an_unknown_head():
    with pytest.raises(ValueError, match=r"Targets\.v1: targets names \['solts'\].*\['intent', 'slots'\]"):
        make_cnn(use("Targets", targets={"solts": 0.9}))


def test_a_strength_that_makes_no_sense():
    with pytest.raises(ValueError, match=r"Targets\.v1: strength is -1.0; it must be at least 0"):
        make_targets_v1({"a": 0.5}, strength=-1.0)
