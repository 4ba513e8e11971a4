"""Weightings that compare gradients in some steps only."""

import numpy as np
import pytest
from balancing import make_cnn, make_examples, use
from spacy.util import registry

import spacy_mtl.registry  # noqa: F401
from spacy_mtl.balance.sampled_steps import is_sampled
from spacy_mtl.layers.last_layer import LAST_LAYER, LastLayer
from spacy_mtl.pipeline.balance_readout import BalanceReadout
from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.norm_scaling import make_norm_scaling_v1

SELDOM = ["NormScaling", "PCGrad", "MGDA", "CAGrad", "IMTLG", "AlignedMTL", "NashMTL", "UPGrad"]
# A sampled step, then two that are not.
FIRST, SECOND, THIRD = 2, 3, 4


def merge(weighting, number, gradients, *, seen=True):
    """Merge numbers. Without `seen` there is nothing at the last layer to compare."""
    rows = {name: np.array([gradient], dtype="f") for name, gradient in gradients.items()}
    step = Step(number, last_layer=rows if seen else {})
    return float(weighting.merge({name: row[None] for name, row in rows.items()}, step)[0, 0])


def test_the_steps_between_take_the_last_factors_of_the_same_heads():
    assert [is_sampled(number, 4) for number in (FIRST, SECOND, THIRD)] == [True, False, False]
    weighting = make_norm_scaling_v1(every=4)
    # Norms of 1 and 3: the mean is 2, so the factors are 2 and 2 / 3.
    assert merge(weighting, FIRST, {"a": 1.0, "b": 3.0}) == pytest.approx(2 + 2)
    assert not weighting.compares(["b", "a"], Step(SECOND))
    assert merge(weighting, SECOND, {"a": 5.0, "b": 6.0}, seen=False) == pytest.approx(5 * 2 + 6 * 2 / 3)
    # Other heads: norms of 1 and 5.
    assert weighting.compares(["a", "c"], Step(SECOND))
    assert merge(weighting, SECOND, {"a": 1.0, "c": 5.0}) == pytest.approx(3 + 3)
    assert merge(weighting, THIRD, {"a": 1.0, "b": 3.0}, seen=False) == pytest.approx(2 + 2)
    again = make_norm_scaling_v1(every=4)
    again.set_state(weighting.get_state())
    assert merge(again, THIRD, {"a": 1.0, "c": 0.0}, seen=False) == pytest.approx(3.0)


@pytest.mark.parametrize("name", SELDOM)
def test_every_must_be_at_least_one(name):
    make = registry.get("mtl_weightings", f"spacy_mtl.{name}.v1")
    with pytest.raises(ValueError, match=rf"spacy_mtl\.{name}\.v1: every is 0; it must be at least 1 step"):
        make(every=0)


@pytest.mark.parametrize("name", SELDOM)
def test_the_last_layer_is_run_backward_in_the_sampled_steps_only(name, monkeypatch):
    ran, begin = [], LastLayer.begin
    nlp = make_cnn(use(name, every=4))
    pipe = nlp.get_pipe("multitask")
    # the read-out has a sample of its own
    monkeypatch.setattr(BalanceReadout, "is_due", lambda self, number: False)

    def counted(self, backprop):
        begin(self, lambda gradients: ran.append(pipe._counts.n_steps) or backprop(gradients))

    monkeypatch.setattr(LastLayer, "begin", counted)
    assert any(LAST_LAYER in node.attrs for node in nlp.get_pipe("multitask").model.walk())
    optimizer = nlp.create_optimizer()
    for _ in range(12):
        nlp.update(make_examples(nlp), sgd=optimizer)
    assert ran == [number for number in range(12) if is_sampled(number, 4)]
    assert 2 < len(ran) < 6
