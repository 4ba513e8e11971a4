"""Learned log variances: the gradient by finite differences; trained, saved by head, and left alone without gold."""

import math

import pytest
from balancing import make_cnn, make_examples, use
from pipelines import heads_config
from thinc.api import Adam

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.uncertainty import LOG_VARIANCE, make_uncertainty_v1

LOSSES = {"a": 2.0, "b": 0.3, "c": 1.0}
OWN = {"a": 1.0, "b": 2.0, "c": 1.0}


def objective(s):
    return sum(OWN[name] * (math.exp(-s[name]) * LOSSES[name] + s[name] / 2) for name in s)


def log_variances(weighting):
    return {name: float(layer.get_param(LOG_VARIANCE)[0]) for name, layer in weighting.layers.items()}


@pytest.mark.parametrize("s", [{"a": 0.0, "b": 0.0}, {"a": 0.3, "b": -1.0}, {"a": 0.3, "b": -1.0, "c": 2.0}], ids=str)
def test_weights_by_hand_and_gradient_by_finite_differences(s):
    weighting = make_uncertainty_v1({"b": 2.0})
    weighting.bind(["c", "b", "a"])
    for name, value in s.items():
        weighting.layers[name].get_param(LOG_VARIANCE)[:] = value
    found = weighting.weights({name: LOSSES[name] for name in s}, Step(0))
    assert found == pytest.approx({name: OWN[name] * math.exp(-value) for name, value in s.items()})
    for name in s:
        moved = objective(s | {name: s[name] + 1e-5}) - objective(s | {name: s[name] - 1e-5})
        assert weighting.layers[name].get_grad(LOG_VARIANCE)[0] == pytest.approx(moved / 2e-5, rel=1e-4)
    assert all(not weighting.layers[name].has_grad(LOG_VARIANCE) for name in set(OWN) - set(s))


def test_factors_tend_to_one_over_twice_the_loss():
    weighting, optimizer = make_uncertainty_v1(), Adam(0.05)
    weighting.bind(list(LOSSES))
    for _ in range(400):
        weights = weighting.weights(LOSSES, Step(0))
        weighting.model.finish_update(optimizer)
    assert weights == pytest.approx({name: 1 / (2 * loss) for name, loss in LOSSES.items()}, rel=0.02)


def test_the_component_trains_them_with_its_optimizer_and_saves_them_by_head():
    nlp = make_cnn(use("Uncertainty"))
    for _ in range(5):
        nlp.update(make_examples(nlp), sgd=nlp.create_optimizer())
    values = log_variances(nlp.get_pipe("multitask").weighting)
    assert all(value != 0.0 for value in values.values())
    data = nlp.get_pipe("multitask").to_bytes()
    heads = heads_config(slots={"kind": "EntityRecognizer"}, pos={"kind": "Tagger", "attr": "pos"})
    other = make_cnn(
        use("Uncertainty"), {"slots": heads["slots"], "intent": {"@mtl_heads": "spacy_mtl.DocClassifier.v1"}}
    )
    other.get_pipe("multitask").from_bytes(data)
    assert log_variances(other.get_pipe("multitask").weighting) == values
    fewer = make_cnn(use("Uncertainty"), {"slots": heads["slots"]})
    fewer.get_pipe("multitask").from_bytes(data)
    assert log_variances(fewer.get_pipe("multitask").weighting) == {"slots": values["slots"]}


def test_neither_momentum_nor_weight_decay_moves_that_of_a_head_without_gold():
    nlp, optimizer = make_cnn(use("Uncertainty")), Adam(0.01, L2=0.1, L2_is_weight_decay=True)
    for _ in range(3):
        nlp.update(make_examples(nlp), sgd=optimizer)
    weighting = nlp.get_pipe("multitask").weighting
    before = log_variances(weighting)
    nlp.update(make_examples(nlp, ents=False), sgd=optimizer)
    assert log_variances(weighting) == before
    nlp.update(make_examples(nlp), sgd=optimizer)
    assert all(after != before[name] for name, after in log_variances(weighting).items())
