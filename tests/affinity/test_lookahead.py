"""Lookahead affinity equals what separate pipelines show, and leaves no trace."""

import numpy as np
import pytest
import spacy
from balancing import CNN, TWO, make_cnn, make_examples, use
from numpy.testing import assert_array_equal
from pipelines import ENCODER, JOINT, LISTENER, heads_config, make_nlp
from thinc.api import Adam, Optimizer
from tiny_transformers import write_bert

import spacy_mtl.optimizers.adam as ours
from spacy_mtl.affinity.lookahead import Lookahead
from spacy_mtl.network.finite_gradients import drop_gradients
from spacy_mtl.optimizers.grouped import make_optimizer_v1
from spacy_mtl.optimizers.parameters import find_parameters

HEADS = TWO | heads_config(pos={"kind": "Tagger", "attr": "pos"})
RATE = 0.3
RARE = CNN | {"rare_word_dropout": 0.5, "word_dropout": 0.2}
ADAPTERS = {"@mtl_sharing": "spacy_mtl.Adapters.v1", "by": "head", "width": 4}


def with_pos(nlp):
    found = make_examples(nlp)
    for eg in found:
        for index, token in enumerate(eg.reference):
            token.pos_ = "NOUN" if index % 2 else "VERB"
    return found


def sgd():
    return Optimizer(RATE, beta1=0.0, beta2=0.0, L2=0.0, grad_clip=0.0, use_averages=False)


def step(nlp, optimizer, examples, **settings):
    nlp.update(examples, sgd=False, **settings)
    for _, pipe in nlp.pipeline:
        pipe.finish_update(optimizer)


def look_ahead(nlp, optimizer, heads):
    return Lookahead(nlp, nlp.get_pipe("multitask"), optimizer, list(heads))


def copy_of(nlp, only):
    """A pipeline of its own with the same weights, in which one head has a weight."""
    config = nlp.config.copy()
    config["components"]["multitask"]["weighting"] = use("Static", weights={key: float(key == only) for key in HEADS})
    return spacy.blank("en").from_config(config).from_bytes(nlp.to_bytes())


def encoder_of(nlp):
    return nlp.get_pipe("tok2vec").model if "tok2vec" in nlp.pipe_names else nlp.get_pipe("multitask").encoder


def losses(nlp, examples):
    found = nlp.update(examples, sgd=False, drop=0.0, losses={})
    for _, pipe in nlp.pipeline:
        drop_gradients(pipe.model)
    return {key: found[f"multitask/{key}"] for key in HEADS}


@pytest.mark.parametrize("listener", [False, True])
@pytest.mark.parametrize("condition", [None, "intent"])
def test_it_equals_a_step_of_copies(listener, condition):
    heads = HEADS | {"slots": JOINT["slots"]} if condition else HEADS
    nlp = make_cnn(use("Static"), heads, listener=listener, examples=with_pos)
    optimizer = sgd()
    for _ in range(3):
        step(nlp, optimizer, with_pos(nlp), drop=0.1)
    found = look_ahead(nlp, optimizer, HEADS).measure(with_pos(nlp))
    before = losses(copy_of(nlp, "intent"), with_pos(nlp))
    for head in HEADS:
        copy = copy_of(nlp, head)
        copy.update(with_pos(copy), sgd=False, drop=0.0)
        for node in encoder_of(copy).walk():
            for name in node.param_names:
                if node.has_grad(name):
                    node.set_param(name, node.get_param(name) - RATE * node.get_grad(name))
        for _, pipe in copy.pipeline:
            drop_gradients(pipe.model)
        after = losses(copy, with_pos(copy))
        assert found[head].keys() == HEADS.keys()
        assert any(abs(value) > 1e-3 for value in found[head].values())
        for other in HEADS:
            assert found[head][other] == pytest.approx(1 - after[other] / before[other], abs=2e-5), (head, other)


def test_an_adam_step_has_no_momentum():
    """With the first moment at zero it is a tenth of the gradient, over the root of the second moment."""
    nlp = make_cnn(use("Static"), HEADS, examples=with_pos)
    optimizer = Adam(0.01, L2=0.0, grad_clip=0.0, use_averages=False)
    for _ in range(4):
        step(nlp, optimizer, with_pos(nlp))
    seen = []

    class Watching(Lookahead):
        name = [name for name in find_parameters(nlp) if "/maxout." in name and name.endswith("/W")][-1]

        def _losses(self, batch):
            params = find_parameters(self.nlp)
            seen.append({name: (one.weights.copy(), one.key) for name, one in params.items() if name == self.name})
            return super()._losses(batch)

    copy = copy_of(nlp, "slots")
    copy.update(with_pos(copy), sgd=False, drop=0.0)
    Watching(nlp, nlp.get_pipe("multitask"), optimizer, ["slots"]).measure(with_pos(nlp))
    ((name, (before, key)),) = seen[0].items()
    after = seen[1][name][0]
    gradient = find_parameters(copy)[name].gradient
    count = optimizer.nr_update[key] + 1
    square = 0.999 * optimizer.mom2[key].reshape(gradient.shape) + 0.001 * gradient**2
    rate = 0.01 * (1 - 0.999**count) ** 0.5 / (1 - 0.9**count)
    np.testing.assert_allclose(after - before, -rate * 0.1 * gradient / (np.sqrt(square) + 1e-8), atol=2e-6)
    assert np.abs(after - before).max() > 1e-4


def state_of(nlp, optimizer):
    parameters = find_parameters(nlp)
    names = {one.key: name for name, one in parameters.items()}
    state = {name: one.weights.copy() for name, one in parameters.items()}
    for table in ("mom1", "mom2", "averages", "nr_update"):
        entries = getattr(optimizer, table) or {}
        state |= {f"{table} {names[key]}": np.array(value) for key, value in entries.items() if key in names}
    return state


OPTIMIZERS = {
    "thinc": lambda: Adam(0.02, use_averages=True),
    "ours": lambda: ours.make_adam_v1(0.02, use_averages=True),
    "grouped": lambda: make_optimizer_v1(0.02, {}, use_averages=True),
    "sgd": sgd,
}


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("thinc", {}),
        ("ours", {"listener": True}),
        ("grouped", {"heads": HEADS | {"slots": JOINT["slots"]}}),
        ("sgd", {"weighting": use("PCGrad")}),
        ("ours", {"weighting": use("Uncertainty")}),
        ("thinc", {"model": {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": RARE}}),
        ("thinc", {"model": {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": CNN, "sharing": ADAPTERS}}),
        ("thinc", {"model": {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}}),
    ],
)
def test_measuring_changes_nothing(optimizer, settings):
    states = []
    for measured in (True, False):
        settings = {"heads": HEADS, "weighting": use("Static")} | settings
        nlp = make_cnn(**settings, examples=with_pos)
        one = OPTIMIZERS[optimizer]()
        if optimizer == "grouped":
            one.bind(nlp)
        found = []
        for number in range(6):
            batch = with_pos(nlp) if number % 2 else make_examples(nlp, ents=number % 3 > 0)
            if measured:
                found.append(look_ahead(nlp, one, HEADS).measure(batch))
            step(nlp, one, batch, drop=0.2)
        assert len(found) == 6 * measured
        pipe = nlp.get_pipe("multitask")
        states.append((state_of(nlp, one), np.random.get_state()[1], pipe.readout, nlp.evaluate(with_pos(nlp))))
    (state, numbers, readout, scores), (expected, expected_numbers, expected_readout, expected_scores) = states
    assert state.keys() == expected.keys()
    for name, values in expected.items():
        assert_array_equal(state[name], values, err_msg=name)
    assert_array_equal(numbers, expected_numbers)
    assert readout == expected_readout
    assert scores["multitask_score"] == expected_scores["multitask_score"]


@pytest.mark.parametrize("listener", [False, True])
def test_a_transformer_is_measured_and_learns_as_before(listener, tmp_path):
    pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    bert = {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": write_bert(tmp_path / "bert", width=32)}
    states = []
    for measured in (True, False):
        torch.manual_seed(0)
        nlp = make_nlp(HEADS, tok2vec=bert, listener=listener, examples=with_pos)
        optimizer = OPTIMIZERS["ours"]()
        for _ in range(3):
            if measured:
                found = look_ahead(nlp, optimizer, HEADS).measure(with_pos(nlp))
            step(nlp, optimizer, with_pos(nlp), drop=0.2)
        states.append((state_of(nlp, optimizer), torch.get_rng_state().numpy()))
    assert all(found[head][head] > 0 for head in HEADS)
    (state, numbers), (expected, expected_numbers) = states
    assert_array_equal(numbers, expected_numbers)
    assert state.keys() == expected.keys()
    for name, values in expected.items():
        assert_array_equal(state[name], values, err_msg=name)


def test_heads_without_gold_take_no_part():
    nlp = make_cnn(use("Static"), HEADS, examples=with_pos)
    found = look_ahead(nlp, sgd(), HEADS).measure(make_examples(nlp, ents=False))
    assert set(found) == set(found["intent"]) == {"intent"}


def test_a_step_on_a_head_lowers_its_own_loss():
    nlp = make_cnn(use("Static"), HEADS, examples=with_pos)
    optimizer = Adam(0.01)
    for _ in range(5):
        step(nlp, optimizer, with_pos(nlp))
    found = look_ahead(nlp, optimizer, HEADS).measure(with_pos(nlp))
    assert all(found[head][head] > 0 for head in HEADS)


def test_a_frozen_encoder_is_refused():
    nlp = make_cnn(use("Static"), HEADS, listener=True, examples=with_pos)
    with pytest.raises(ValueError, match=r"'multitask' listens to 'tok2vec', which is in training\.frozen_components"):
        Lookahead(nlp, nlp.get_pipe("multitask"), sgd(), list(HEADS), frozen=["tok2vec"])


def test_other_components_are_left_alone():
    """An entity recognizer of spaCy on the same encoder neither learns nor gets gradients."""
    nlp = make_cnn(use("Static"), HEADS, listener=True, examples=with_pos)
    nlp.add_pipe("ner", config={"model": {"tok2vec": LISTENER}})
    nlp.initialize(lambda: with_pos(nlp))
    before = nlp.get_pipe("ner").model.to_bytes()
    found = look_ahead(nlp, sgd(), HEADS).measure(with_pos(nlp))
    assert set(found) == set(HEADS)
    assert nlp.get_pipe("ner").model.to_bytes() == before
    for _, pipe in nlp.pipeline:
        for node in pipe.model.walk():
            assert not any(node.get_grad(name).any() for name in node.param_names if node.has_grad(name))
