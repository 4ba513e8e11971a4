"""The read-out of a component: right, where it says it is, and without any trace in the training."""

from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import spacy
from balancing import CNN, TWO, cosine, encoder_gradient, learn, make_cnn, make_examples, use
from numpy.testing import assert_array_equal
from pipelines import ENCODER, JOINT, LISTENER, heads_config, make_nlp, weights_of
from spacy.training import Example
from thinc.api import Model, PyTorchWrapper
from tiny_transformers import write_bert

from spacy_mtl.optimizers.grouped import make_optimizer_v1
from spacy_mtl.optimizers.parameters import find_parameters
from spacy_mtl.pipeline.balance_readout import BalanceReadout
from spacy_mtl.training.save_state import load_training, save_training

WEIGHTS = {"intent": 2.0, "slots": 0.5}
ADAPTERS = {"@mtl_sharing": "spacy_mtl.Adapters.v1", "by": "head", "width": 4}
RARE = CNN | {"rare_word_dropout": 0.5, "word_dropout": 0.2}


def readout_of(nlp, name="multitask"):
    return nlp.get_pipe(name).readout


def trained(every, *, n_steps=8, **settings):
    """Weights, random numbers and losses after a training with dropout, gradients that are accumulated, and heads that
    lack gold.
    """
    nlp = make_cnn(settings.pop("weighting", use("Static")), readout_every=every, **settings)
    optimizer, losses = nlp.create_optimizer(), {}
    for step in range(n_steps):
        nlp.update(make_examples(nlp, ents=step % 3 > 0), sgd=False, drop=0.2, losses=losses)
        nlp.update(make_examples(nlp, cats=step % 3 != 1), sgd=False, drop=0.2, losses=losses)
        for _, pipe in nlp.pipeline:
            pipe.finish_update(optimizer)
    return nlp, losses, np.random.get_state()[1].tolist()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"heads": JOINT},
        {"heads": JOINT, "listener": True},
        {"heads": JOINT, "model": {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": RARE}},
        {"model": {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": CNN, "sharing": ADAPTERS}},
        {"model": {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}},
        {"heads": JOINT, "weighting": use("Uncertainty")},
        {"heads": JOINT, "weighting": use("PCGrad")},
        {"heads": JOINT, "weighting": use("PCGrad", at="vectors")},
        {"heads": TWO | heads_config(domain={"kind": "DomainAdversary", "total_steps": 10}), "examples": None},
    ],
    ids=["plain", "conditioned", "listener", "dropout", "sharing", "spacy", "Uncertainty", "last", "vectors", "domain"],
)
def test_measuring_changes_nothing(settings):
    settings = dict(settings)
    if "examples" in settings:
        settings["examples"] = with_domains
    with_it, losses, numbers = trained(1, **settings)
    without, expected, expected_numbers = trained(0, **settings)
    assert losses == expected
    assert numbers == expected_numbers
    for (_, one), (_, other) in zip(with_it.pipeline, without.pipeline, strict=True):
        for key, weights in weights_of(one).items():
            assert_array_equal(weights, weights_of(other)[key], err_msg=str(key))
    assert readout_of(with_it)["measured"] > 5
    assert readout_of(without)["measured"] == 0
    assert readout_of(without)["heads"]["intent"]["loss"] == readout_of(with_it)["heads"]["intent"]["loss"]


@pytest.mark.parametrize("listener", [False, True])
def test_a_transformer_is_measured_and_learns_as_before(listener, tmp_path):
    pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    bert = {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": write_bert(tmp_path / "bert", width=32)}
    found = []
    for every in (1, 0):
        torch.manual_seed(0)
        nlp = make_nlp(JOINT, tok2vec=bert, listener=listener, readout_every=every)
        optimizer = nlp.create_optimizer()
        for _ in range(3):
            nlp.update(make_examples(nlp), sgd=optimizer, drop=0.2)
        weights = {name: one.weights.copy() for name, one in find_parameters(nlp).items()}
        found.append((readout_of(nlp), weights, torch.get_rng_state().numpy()))
    (readout, weights, numbers), (_, expected, expected_numbers) = found
    assert (readout["at"], readout["measured"]) == ("last_layer", 3)
    assert readout["conflict"]
    assert_array_equal(numbers, expected_numbers)
    for name, values in expected.items():
        assert_array_equal(weights[name], values, err_msg=name)


def with_domains(nlp):
    from spacy_mtl.origin import mark

    examples = make_examples(nlp)
    return [Example(eg.predicted, mark(eg.reference, f"corpus{i % 2}")) for i, eg in enumerate(examples)]


@pytest.mark.parametrize("listener", [False, True])
@pytest.mark.parametrize("heads", [TWO, JOINT])
def test_norms_cosine_and_shares_are_those_of_the_last_layer(listener, heads):
    """Each loss's gradient alone, from a training in which the other loss has the weight 0."""
    own = {}
    for name in WEIGHTS:
        alone = {key: float(key == name) for key in WEIGHTS}
        nlp = make_cnn(use("Static"), heads, listener=listener, readout_every=1)
        learn(nlp, make_examples(nlp), 3)
        nlp.get_pipe("multitask").weighting.factors.update(alone)
        own[name] = encoder_gradient(nlp, make_examples(nlp), last_layer=True)
    nlp = make_cnn(use("Static"), heads, listener=listener, readout_every=1)
    learn(nlp, make_examples(nlp), 3)
    pipe = nlp.get_pipe("multitask")
    pipe.weighting.factors.update(WEIGHTS)
    pipe.take_readout()
    losses = nlp.update(make_examples(nlp), sgd=False, losses={})
    found = pipe.take_readout()
    assert (found["at"], found["steps"], found["measured"]) == ("last_layer", 1, 1)
    pulls = {name: WEIGHTS[name] * np.linalg.norm(gradient) for name, gradient in own.items()}
    for name, head in found["heads"].items():
        assert head["loss"] == losses[f"multitask/{name}"]
        assert head["weight"] == WEIGHTS[name]
        assert head["gradient_norm"] == pytest.approx(np.linalg.norm(own[name]), rel=1e-4)
        assert head["encoder_share"] == pytest.approx(pulls[name] / sum(pulls.values()), rel=1e-4)
    (pair,) = found["conflict"]
    assert pair["heads"] == ["intent", "slots"]
    assert pair["cosine"] == pytest.approx(cosine(own["intent"], own["slots"]), abs=1e-4)
    assert pair["share"] == float(pair["cosine"] < 0)


def test_an_encoder_without_a_last_layer_is_measured_at_the_vectors_and_says_so():
    nlp = make_nlp(TWO, readout_every=1)
    learn(nlp, make_examples(nlp), 4)
    found = readout_of(nlp)
    assert found["at"] == "vectors"
    assert found["conflict"][0]["measured"] == 4


def test_the_factors_of_gradient_surgery_are_in_the_weights():
    """CAGrad gives a head more or less than its weight."""
    nlp = make_cnn(use("NormScaling", weights={"slots": 0.5}), readout_every=1)
    learn(nlp, make_examples(nlp), 4)
    nlp.get_pipe("multitask").take_readout()
    nlp.update(make_examples(nlp), sgd=False)
    found = nlp.get_pipe("multitask").take_readout()["heads"]
    assert found["slots"]["encoder_share"] == pytest.approx(1 / 3, rel=1e-3)
    pulls = {name: head["weight"] * head["gradient_norm"] for name, head in found.items()}
    assert pulls["slots"] == pytest.approx(pulls["intent"] / 2, rel=1e-3)


def test_heads_without_gold_take_no_part():
    nlp = make_cnn(use("Static"), readout_every=1)
    learn(nlp, make_examples(nlp), 2)
    learn(nlp, make_examples(nlp, ents=False), 3)
    found = readout_of(nlp)
    assert {name: head["steps"] for name, head in found["heads"].items()} == {"intent": 5, "slots": 2}
    assert found["heads"]["intent"]["measured"] > found["heads"]["slots"]["measured"] > 0
    assert sum(head["encoder_share"] for head in found["heads"].values()) == pytest.approx(1.0)


def test_a_head_of_weight_0_has_a_loss_and_moves_nothing():
    nlp = make_cnn(use("Static", weights={"slots": 0.0}), readout_every=1)
    learn(nlp, make_examples(nlp), 3)
    found = readout_of(nlp)["heads"]["slots"]
    assert (found["weight"], found["encoder_share"], found["measured"]) == (0.0, 0.0, 0)
    assert found["loss"] > 0


def test_adversarial_heads_are_marked():
    heads = TWO | heads_config(domain={"kind": "DomainAdversary", "total_steps": 10})
    nlp = make_cnn(use("Static"), heads, examples=with_domains, readout_every=1)
    learn(nlp, with_domains(nlp), 3)
    found = readout_of(nlp)["heads"]
    assert {name: head["adversarial"] for name, head in found.items()} == {
        "intent": False,
        "slots": False,
        "domain": True,
    }


def test_a_network_of_torch_is_not_measured_and_learns_as_before(monkeypatch):
    """torch frees what it needs for a second backward pass."""
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "third_party")
    length = import_module("acme_mtl.length")

    def make_torch_length():
        torch.manual_seed(0)
        layer = PyTorchWrapper(torch.nn.Linear(32, 1))
        return length.Length(Model("length", length.forward, layers=[layer]), 100.0)

    spacy.registry.mtl_heads.register("tests.TorchLength.v1", func=make_torch_length)
    heads = TWO | {"length": {"@mtl_heads": "tests.TorchLength.v1"}}
    found, without = (trained(every, heads=heads)[0] for every in (1, 0))
    assert readout_of(found)["steps"] == 16
    assert readout_of(found)["measured"] == 0
    losses, expected = (readout_of(nlp)["heads"] for nlp in (found, without))
    assert losses == expected
    assert losses["length"]["loss"] > 0


@pytest.mark.parametrize("every", [1, 7, 50])
def test_measured_steps_are_spread_evenly_over_corpora_that_take_turns(every):
    readout = BalanceReadout(every)
    due = [number for number in range(100 * every) if readout.is_due(number)]
    assert len(due) == pytest.approx(100, abs=2)
    assert max(b - a for a, b in pairwise([*due, 100 * every])) <= 3 * every
    for n_corpora in (2, 5, 10):
        shares = np.bincount([number % n_corpora for number in due], minlength=n_corpora) / len(due)
        assert shares == pytest.approx(np.full(n_corpora, 1 / n_corpora), abs=0.06)
    assert not any(BalanceReadout(0).is_due(number) for number in range(100))


def test_a_negative_number_of_steps_is_refused():
    with pytest.raises(
        ValueError, match="component 'multitask': readout_every is -1, expected a number of steps, or 0"
    ):
        make_cnn(use("Static"), readout_every=-1)


def test_it_is_in_the_meta_and_saved(tmp_path):
    nlp = make_cnn(use("Static"), readout_every=1)
    assert nlp.meta["spacy_mtl"]["balance"] == {"multitask": {}}
    learn(nlp, make_examples(nlp), 3)
    found = readout_of(nlp)
    assert nlp.meta["spacy_mtl"]["balance"]["multitask"] == found
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    saved = loaded.meta["spacy_mtl"]["balance"]["multitask"]
    assert saved["conflict"][0]["cosine"] == pytest.approx(found["conflict"][0]["cosine"], abs=1e-8)
    assert readout_of(loaded) == found
    other = spacy.blank("en")
    other.add_pipe("multitask", source=loaded)
    assert readout_of(other) == found
    nlp.initialize(lambda: make_examples(nlp))
    assert readout_of(nlp) == nlp.meta["spacy_mtl"]["balance"]["multitask"] == {}


def test_two_components_have_their_own():
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": CNN})
    for name, head in (("first", "intent"), ("second", "slots")):
        model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER}
        nlp.add_pipe("multitask", name, config={"model": model, "heads": {head: TWO[head]}, "readout_every": 1})
    nlp.initialize(lambda: make_examples(nlp))
    learn(nlp, make_examples(nlp), 3)
    assert set(nlp.meta["spacy_mtl"]["balance"]) == {"first", "second"}
    for name, head in (("first", "intent"), ("second", "slots")):
        found = readout_of(nlp, name)
        assert (list(found["heads"]), found["conflict"], found["at"]) == ([head], [], "last_layer")
        assert found["heads"][head]["encoder_share"] == 1.0


def test_a_resumed_training_goes_on_with_it(tmp_path):
    def bound(nlp):
        optimizer = make_optimizer_v1(0.05, {})
        optimizer.bind(nlp)
        return optimizer

    def step(nlp, optimizer, n_steps):
        for _ in range(n_steps):
            nlp.update(make_examples(nlp), sgd=False)
            nlp.get_pipe("multitask").finish_update(optimizer)
            optimizer.step_schedules()

    straight = make_cnn(use("Static"), readout_every=2)
    optimizer = bound(straight)
    step(straight, optimizer, 2)
    straight.get_pipe("multitask").take_readout()
    step(straight, optimizer, 3)
    save_training(optimizer, straight, tmp_path)
    step(straight, optimizer, 4)
    resumed = make_cnn(use("Static"), readout_every=2)
    optimizer = make_optimizer_v1(0.05, {})
    load_training(optimizer, resumed, tmp_path)
    step(resumed, optimizer, 4)
    assert readout_of(resumed) == readout_of(straight) == resumed.meta["spacy_mtl"]["balance"]["multitask"]
    assert resumed.get_pipe("multitask").take_readout() == straight.get_pipe("multitask").take_readout()


def test_a_frozen_encoder_is_measured_at_the_vectors():
    nlp = make_cnn(use("Static"), listener=True, readout_every=1)
    optimizer = nlp.create_optimizer()
    for _ in range(4):
        nlp.update(make_examples(nlp), sgd=optimizer, exclude=["tok2vec"], annotates=["tok2vec"])
    assert readout_of(nlp)["at"] == "vectors"
