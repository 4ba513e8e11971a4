"""With every weighting a component that is loaded, or resumed from a training's state, goes on to the last bit."""

import numpy as np
import pytest
import spacy
from balancing import CNN, WEIGHTING_SETTINGS, WEIGHTINGS, make_cnn, make_examples, use
from numpy.testing import assert_array_equal
from pipelines import JOINT, heads_config
from spacy.util import registry

import spacy_mtl.registry  # noqa: F401
from spacy_mtl.optimizers.grouped import make_optimizer_v1
from spacy_mtl.optimizers.parameters import find_parameters
from spacy_mtl.training.save_state import load_training, save_training

AT_LAST_LAYER = [n for n in WEIGHTINGS if "at" in registry.get("mtl_weightings", f"spacy_mtl.{n}.v1").__annotations__]
HEADS = JOINT | heads_config(pos={"kind": "Tagger", "attr": "pos"})
N_STEPS = 9
STOP = 5


def examples_with_pos(nlp):
    found = make_examples(nlp)
    for eg in found:
        for index, token in enumerate(eg.reference):
            token.pos_ = "NOUN" if index % 2 else "VERB"
    return found


def batch_of(nlp, step):
    """All gold, or that of some heads."""
    found = examples_with_pos(nlp) if step % 2 else make_examples(nlp, ents=step % 3 > 0, cats=step % 3 != 1)
    return found[: 2 + step % 3]


def learn(nlp, optimizer, steps):
    """With an evaluation in between. RETURNS: the losses."""
    found = []
    for step in steps:
        if step == 3:
            nlp.evaluate(make_examples(nlp))
        found.append(nlp.update(batch_of(nlp, step), sgd=False, losses={}))
        for _, pipe in nlp.pipeline:
            pipe.finish_update(optimizer)
        optimizer.step_schedules()
    return found


def make(name, listener, **settings):
    weighting = use(name, **WEIGHTING_SETTINGS.get(name, {}), **settings)
    return make_cnn(weighting, HEADS, listener=listener, examples=examples_with_pos)


def bound(nlp):
    optimizer = make_optimizer_v1(0.05, {}, L2=0.01, use_averages=True)
    optimizer.bind(nlp)
    return optimizer


def assert_same(nlp, other):
    expected, found = find_parameters(nlp), find_parameters(other)
    assert expected.keys() == found.keys()
    for name, parameter in expected.items():
        assert_array_equal(found[name].weights, parameter.weights, err_msg=name)


@pytest.mark.parametrize("name", WEIGHTINGS)
@pytest.mark.parametrize("listener", [False, True])
def test_resumed_is_the_same_as_not_stopped(name, listener, tmp_path):
    check_resumed(tmp_path, lambda: make(name, listener))


@pytest.mark.parametrize("name", ["NormScaling", "CAGrad"])
def test_kept_factors_are_resumed(name, tmp_path):
    check_resumed(tmp_path, lambda: make(name, True, every=4))


def check_resumed(tmp_path, make):
    straight = make()
    losses = learn(straight, bound(straight), range(N_STEPS))
    stopped = make()
    optimizer = bound(stopped)
    assert learn(stopped, optimizer, range(STOP)) == losses[:STOP]
    save_training(optimizer, stopped, tmp_path)
    resumed = make()
    optimizer = make_optimizer_v1(0.05, {}, L2=0.01, use_averages=True)
    load_training(optimizer, resumed, tmp_path)
    assert learn(resumed, optimizer, range(STOP, N_STEPS)) == losses[STOP:]
    assert_same(straight, resumed)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_loaded_is_the_same_as_saved(name, tmp_path):
    nlp = make(name, False)
    learn(nlp, bound(nlp), range(STOP))
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    from_bytes = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    losses = learn(nlp, bound(nlp), range(STOP, N_STEPS))
    for other in (loaded, from_bytes):
        assert learn(other, bound(other), range(STOP, N_STEPS)) == losses
        assert_same(nlp, other)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_a_broken_gradient_names_its_head_and_moves_nothing(name, monkeypatch):
    nlp = make(name, False)
    optimizer = bound(nlp)
    learn(nlp, optimizer, range(STOP))
    pipe = nlp.get_pipe("multitask")
    before = pipe.model.to_bytes()
    get_loss = pipe.heads["intent"].get_loss
    monkeypatch.setattr(pipe.heads["intent"], "get_loss", lambda *args: (get_loss(*args)[0], args[1] * np.nan))
    with pytest.raises(ValueError, match=r"head 'intent': its gradient is nan"):
        nlp.update(examples_with_pos(nlp), sgd=optimizer)
    pipe.finish_update(optimizer)
    assert pipe.model.to_bytes() == before


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_bad_weights_name_the_weighting(name):
    if "weights" not in registry.get("mtl_weightings", f"spacy_mtl.{name}.v1").__annotations__:
        pytest.skip("it has no weights")
    settings = WEIGHTING_SETTINGS.get(name, {})
    for weights, parts in (
        ({"solts": 1.0}, r"weights names \['solts'\], but the heads are \['intent', 'slots'\]"),
        ({"slots": -1.0}, r"weights must be numbers of at least 0, but there is {'slots': -1.0}"),
        ({"slots": 0.0, "intent": 0.0}, r"the weights of all heads, \['intent', 'slots'\], are 0"),
    ):
        with pytest.raises(ValueError, match=rf"spacy_mtl\.{name}\.v1: {parts}"):
            make_cnn(use(name, weights=weights, **settings))


def test_an_encoder_that_does_not_give_its_last_layer():
    encoder = CNN | {"@architectures": "spacy.HashEmbedCNN.v2"}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    with pytest.raises(ValueError, match=r"weighting PCGrad needs.*spacy_mtl.HashEmbedCNN.v1.*at = \"vectors\""):
        make_cnn(use("PCGrad"), model=model)
    nlp = make_cnn(use("PCGrad", at="vectors"), model=model)
    assert np.isfinite(nlp.update(make_examples(nlp), losses={})["multitask"])


@pytest.mark.parametrize("name", AT_LAST_LAYER)
def test_a_loaded_component_over_a_listener_goes_on(name):
    nlp = make(name, True)
    learn(nlp, bound(nlp), range(STOP))
    loaded = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    losses = learn(nlp, bound(nlp), range(STOP, N_STEPS))
    assert learn(loaded, bound(loaded), range(STOP, N_STEPS)) == losses
    assert_same(nlp, loaded)


# they weigh a head by itself
ALONE = ("Static", "Scheduled")


@pytest.mark.parametrize("name", WEIGHTINGS)
@pytest.mark.parametrize("adversary", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_single_head_is_learned_as_with_static_and_a_warning_says_so(name, adversary, caplog):
    heads = heads_config(pos={"kind": "Tagger", "attr": "pos"})
    settings = WEIGHTING_SETTINGS.get(name, {}) | ({"targets": {"pos": 0.9}} if name == "Targets" else {})
    settings |= {"schedules": {"pos": 1.0}} if name == "Scheduled" else {}
    beside = heads_config(domain={"kind": "DomainAdversary", "total_steps": 1, "prefix": ""}) if adversary else {}
    found = []
    for weighting in (use("Static"), use(name, **settings)):
        caplog.clear()
        nlp = make_cnn(weighting, heads | beside, examples=examples_with_pos)
        optimizer = bound(nlp)
        found.append([nlp.update(examples_with_pos(nlp), sgd=optimizer, losses={}) for _ in range(3)])
    said = [record.getMessage() for record in caplog.records if "balances heads" in record.getMessage()]
    assert found[0] == found[1]
    assert len(said) == (name not in ALONE)
    assert all(f"the weighting {name} balances heads" in text and "['pos']" in text for text in said)


def test_no_warning_with_two_heads(caplog):
    make_cnn(use("CAGrad"))
    assert "balances heads" not in caplog.text
