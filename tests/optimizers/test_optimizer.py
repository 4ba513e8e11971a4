"""spacy_mtl.Optimizer.v1: learning rates by group, computed by hand. With a gradient of 1 in each step, a weight moves
by the learning rate.
"""

import numpy as np
import pytest
import spacy
from numpy.testing import assert_allclose, assert_array_equal
from pipelines import has_moved, make_examples, make_nlp, weights_of
from spacy.training.loop import subdivide_batch
from thinc.api import Config, Linear, registry, warmup_linear

from spacy_mtl.optimizers import adam as adam_module
from spacy_mtl.optimizers.adam import make_adam_v1
from spacy_mtl.optimizers.grouped import CHECK_AFTER, make_optimizer_v1

ENCODER = "encoder.layer.0.output.dense.weight"
HEAD = "W"
FROM_CONFIG = """
[optimizer]
@optimizers = "spacy_mtl.Optimizer.v1"
learn_rate = 0.5
L2 = 0.01

[optimizer.groups]

[optimizer.groups.encoder]
pattern = "^encoder\\\\."
layer_decay = 0.5
n_layers = 2

[optimizer.groups.encoder.learn_rate]
@schedules = "warmup_linear.v1"
initial_rate = 1.0
warmup_steps = 2
total_steps = 10
"""


@pytest.fixture(params=[True, False], ids=["fused", "thinc"])
def fused(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(adam_module, "has_torch", False)
    else:
        pytest.importorskip("torch")


def make(groups=None, **settings):
    return make_optimizer_v1(groups=groups, **{"learn_rate": 0.5, "grad_clip": 0.0, **settings})


def walk(optimizer, *, steps, name=HEAD, start=0.0):
    """The values of a weight with gradient 1, after each step."""
    weights, gradient = np.full((2, 3), start, dtype="f"), np.zeros((2, 3), dtype="f")
    values = []
    for _ in range(steps):
        gradient.fill(1.0)
        optimizer((1, name), weights, gradient)
        optimizer.step_schedules()
        assert not gradient.any()
        assert (weights == weights[0, 0]).all()
        values.append(float(weights[0, 0]))
    return values


def test_each_group_has_its_learn_rate(fused):
    optimizer = make({"encoder": {"pattern": "layer", "learn_rate": 0.125}})
    assert_allclose(walk(optimizer, steps=2), [-0.5, -1.0], rtol=1e-5)
    assert_allclose(walk(optimizer, steps=2, name=ENCODER), [-0.125, -0.25], rtol=1e-5)
    assert optimizer.learn_rate == 0.5


def test_schedules_of_all_groups_move(fused):
    groups = {"encoder": {"pattern": "layer", "learn_rate": warmup_linear(1.0, 2, 4)}}
    # warm-up and decay: 0, 1/2, 1, 1/2, 0
    assert_allclose(walk(make(groups), steps=5, name=ENCODER), [0, -0.5, -1.5, -2.0, -2.0], rtol=1e-5)
    groups = {"encoder": {"pattern": "layer", "learn_rate": [0.25, 0.5], "L2": 0.0}}
    optimizer = make(groups, learn_rate=[1.0, 2.0])
    assert_allclose(walk(optimizer, steps=3, name=ENCODER), [-0.25, -0.75, -1.25], rtol=1e-5)
    assert optimizer.learn_rate == 2.0


def test_a_group_without_learn_rate_has_the_default_one(fused):
    assert_allclose(walk(make({"encoder": {"pattern": "layer"}}), steps=2, name=ENCODER), [-0.5, -1.0], rtol=1e-5)


def test_a_factor_of_the_learn_rate_follows_every_schedule(fused):
    group = {"pattern": "layer", "learn_rate_factor": 0.25}
    optimizer = make({"encoder": group}, learn_rate=[0.5, 1.0])
    assert_allclose(walk(optimizer, steps=2, name=ENCODER), [-0.125, -0.375], rtol=1e-5)
    own = make({"encoder": group | {"learn_rate": [0.4, 0.8]}})
    assert_allclose(walk(own, steps=2, name=ENCODER), [-0.1, -0.3], rtol=1e-5)
    decayed = make({"encoder": group | {"layer_decay": 0.5, "n_layers": 2}})
    assert_allclose(walk(decayed, steps=1, name=ENCODER), [-0.5 * 0.25 * 0.5], rtol=1e-5)
    assert_allclose(walk(decayed, steps=1, name="embed.layer"), [-0.5 * 0.25 * 0.25], rtol=1e-5)


def test_weight_decay_is_the_groups_and_spares_biases(fused):
    groups = {"encoder": {"pattern": "layer", "learn_rate": 0.5, "L2": 0.4}}
    optimizer = make(groups, L2=0.2)
    # (1 - 0.5) decayed by learn_rate * L2
    assert_allclose(walk(optimizer, steps=1, start=1.0), [0.5 - 0.5 * 0.1], rtol=1e-5)
    assert_allclose(walk(optimizer, steps=1, start=1.0, name=ENCODER), [0.5 - 0.5 * 0.2], rtol=1e-5)
    for name in ("layer.0.dense.bias", "layer.0.LayerNorm.weight", "layer.0.layer_norm.weight", "h.0.ln_1.weight"):
        assert_allclose(walk(make(groups, L2=0.2), steps=1, start=1.0, name=name), [0.5], rtol=1e-5)
    all_decay = make(groups, L2=0.2, decay_exempt="")
    assert_allclose(walk(all_decay, steps=1, start=1.0, name="layer.0.bias"), [0.4], rtol=1e-5)
    assert optimizer.L2 == 0.2


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("encoder.layer.2.output.dense.weight", 1.0),
        ("encoder.layer.1.output.dense.weight", 0.5),
        ("encoder.layer.0.output.dense.weight", 0.25),
        ("embeddings.word_embeddings.weight", 0.125),
        ("layers.1.norm.weight", 0.5),
        ("h.0.attn.weight", 0.25),
        ("wte.weight", 0.125),
        ("no_piece", 1.0),
    ],
)
def test_learn_rate_decays_from_layer_to_layer(name, factor):
    groups = {"encoder": {"pattern": ".", "learn_rate": 1.0, "layer_decay": 0.5, "n_layers": 3}}
    assert_allclose(walk(make(groups), steps=1, name=name), [-factor], rtol=1e-5)


def test_layers_can_have_other_names():
    groups = {"encoder": {"pattern": ".", "learn_rate": 1.0, "layer_decay": 0.5, "n_layers": 3, "layer": r"depth(\d)"}}
    assert_allclose(walk(make(groups), steps=1, name="depth1"), [-0.5], rtol=1e-5)


def test_frozen_parameters_stay_exactly_as_they_are(fused):
    optimizer = make({"encoder": {"pattern": "layer", "frozen": True}}, L2=0.1, use_averages=True)
    assert walk(optimizer, steps=3, name=ENCODER, start=0.1) == [np.float32(0.1)] * 3
    assert not optimizer.mom1
    assert not optimizer.averages


def test_unfreezing_begins_like_a_first_step(fused):
    groups = {"encoder": {"pattern": "layer", "learn_rate": 0.25, "unfreeze_at": 2}}
    optimizer = make(groups)
    assert_allclose(walk(optimizer, steps=4, name=ENCODER), [0.0, 0.0, -0.25, -0.5], rtol=1e-5)
    assert optimizer.nr_update[(1, ENCODER)] == 2


@pytest.mark.parametrize(
    "settings", [{}, {"L2": 0.1}, {"L2": 0.1, "L2_is_weight_decay": False}, {"use_averages": True}]
)
def test_without_groups_it_is_adam(settings, fused):
    adam, grouped = (maker(warmup_linear(0.1, 3, 9), **settings) for maker in (make_adam_v1, make_optimizer_v1))
    rng = np.random.default_rng(0)
    expected = rng.normal(size=(5, 7)).astype("f")
    weights = expected.copy()
    for _ in range(9):
        gradient = rng.normal(size=weights.shape).astype("f")
        for optimizer, array in ((adam, expected), (grouped, weights)):
            optimizer((1, "W"), array, gradient.copy())
            optimizer.step_schedules()
    assert_array_equal(weights, expected)
    if settings.get("use_averages"):
        assert_array_equal(grouped.averages[(1, "W")], adam.averages[(1, "W")])


def test_a_parameter_in_two_groups_is_an_error():
    optimizer = make({"b": {"pattern": "layer"}, "a": {"pattern": "encoder"}})
    with pytest.raises(ValueError, match=r"'encoder.layer.0.*.weight' is matched by the groups \['a', 'b'\]"):
        walk(optimizer, steps=1, name=ENCODER)


def test_a_group_that_matches_nothing_is_an_error():
    optimizer = make({"encoder": {"pattern": "layer"}, "typo": {"pattern": "lyaer"}})
    walk(optimizer, steps=CHECK_AFTER - 2, name=ENCODER)
    walk(optimizer, steps=1)
    with pytest.raises(ValueError, match=r"group 'typo': its pattern 'lyaer' matches none of the 2 names .*'W'"):
        walk(optimizer, steps=1)
    with pytest.raises(ValueError, match="group 'typo'"):
        make({"typo": {"pattern": "lyaer"}}).bind(make_nlp())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "pattern is None"),
        ({"pattern": "("}, "no regular expression"),
        ({"pattern": "a", "lr": 0.1}, r"unknown settings \['lr'\], expected some of \['pattern', 'learn_rate'"),
        ({"pattern": "a", "learn_rate": []}, r"learn_rate is \[\]"),
        ({"pattern": "a", "learn_rate": "fast"}, "learn_rate is 'fast'"),
        ({"pattern": "a", "layer_decay": 0.0, "n_layers": 2}, "layer_decay is 0.0"),
        ({"pattern": "a", "layer_decay": 0.9}, "needs n_layers"),
        ({"pattern": "a", "layer": "x"}, "it needs a group"),
        ({"pattern": "a", "unfreeze_at": -1}, "unfreeze_at is -1"),
        ({"pattern": "a", "learn_rate_factor": 0.0}, "learn_rate_factor is 0.0"),
        ({"pattern": "a", "learn_rate_factor": "half"}, "learn_rate_factor is 'half'"),
        ({"pattern": "a", "unfreeze_at": 1, "frozen": True}, "set only one of them"),
    ],
)
def test_bad_settings_name_the_group(settings, message):
    with pytest.raises(ValueError, match=f"group 'enc': .*{message}"):
        make({"enc": settings})


def test_a_layer_beyond_the_last_is_an_error():
    optimizer = make({"enc": {"pattern": "layer", "layer_decay": 0.5, "n_layers": 2}})
    with pytest.raises(ValueError, match="is in layer 2, counted from 0, but n_layers is 2"):
        walk(optimizer, steps=1, name="encoder.layer.2.weight")


def test_it_is_made_from_a_config():
    spacy.blank("en")
    config = Config().from_str(FROM_CONFIG)
    assert Config().from_str(config.to_str()) == config
    optimizer = registry.resolve(config)["optimizer"]
    assert_allclose(walk(optimizer, steps=3, name=ENCODER), [0.0, -0.25, -0.75], rtol=1e-2)


def test_groups_by_component_and_head():
    """Bound to a pipeline the optimizer tells the encoder's parameters from a head's, though all are called W."""
    nlp = make_nlp(listener=True)
    intent_group = {"pattern": "^multitask/intent/", "unfreeze_at": 5}
    groups = {"encoder": {"pattern": "^tok2vec/", "frozen": True}, "intent": intent_group}
    optimizer = make(groups, learn_rate=0.01)
    optimizer.bind(nlp)
    intent, slots = (nlp.get_pipe("multitask").heads[name] for name in ("intent", "slots"))
    parts = {"encoder": nlp.get_pipe("tok2vec"), "intent": intent, "slots": slots}
    before = {name: weights_of(part) for name, part in parts.items()}
    nlp.update(make_examples(nlp), sgd=optimizer)
    moved = {name: has_moved(before[name], weights_of(part)) for name, part in parts.items()}
    assert moved == {"encoder": False, "intent": False, "slots": True}


def test_a_head_can_have_a_factor_of_its_own():
    """Adam's first step moves each weight by the learning rate, or not at all."""
    nlp = make_nlp(listener=True)
    optimizer = make({"slots": {"pattern": "^multitask/slots/", "learn_rate_factor": 0.25}}, learn_rate=0.01)
    optimizer.bind(nlp)
    heads = nlp.get_pipe("multitask").heads
    before = {name: weights_of(head) for name, head in heads.items()}
    nlp.update(make_examples(nlp), sgd=optimizer)
    steps = {
        name: max(np.abs(new - before[name][key]).max() for key, new in weights_of(head).items())
        for name, head in heads.items()
    }
    assert steps == pytest.approx({"intent": 0.01, "slots": 0.0025}, rel=1e-3)


def gradients_of(nlp):
    return {
        (pipe.name, place, name): node.get_grad(name).copy()
        for _, pipe in nlp.pipeline
        for place, node in enumerate(pipe.model.walk())
        for name in node.param_names
        if node.has_grad(name)
    }


@pytest.mark.parametrize("listener", [True, False])
def test_accumulated_gradients_are_summed(listener):
    """A head's loss is a mean over its batch, so two halves that are alike give twice the gradient of the whole."""
    whole, halves = make_nlp(listener=listener), make_nlp(listener=listener)
    whole.update(make_examples(whole) * 2, sgd=False)
    for _ in range(2):
        halves.update(make_examples(halves), sgd=False)
    expected = gradients_of(whole)
    assert expected.keys() == gradients_of(halves).keys()
    for key, gradient in gradients_of(halves).items():
        assert_allclose(gradient, 2 * expected[key], rtol=1e-3, atol=1e-5)


def test_one_step_follows_on_accumulated_gradients():
    nlp = make_nlp(listener=True)
    optimizer = make()
    for batch in subdivide_batch(make_examples(nlp), 2):
        nlp.update(batch, sgd=False)
    assert not optimizer.nr_update
    for _, pipe in nlp.pipeline:
        pipe.finish_update(optimizer)
    assert set(optimizer.nr_update.values()) == {1}
    assert not any(gradient.any() for gradient in gradients_of(nlp).values())


def test_thinc_layers_belong_to_the_default_group():
    layer = Linear(2, 3)
    layer.initialize()
    optimizer = make({"encoder": {"pattern": "layer", "frozen": True}})
    before = layer.get_param("W").copy()
    layer.inc_grad("W", np.ones((2, 3), dtype="f"))
    layer.finish_update(optimizer)
    assert_allclose(layer.get_param("W"), before - 0.5, rtol=1e-4)


def test_layers_of_a_transformer():
    """Layer i of a BERT moves by the learning rate times 0.5 ** (n - 1 - i), the embeddings below layer 0."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from thinc.api import PyTorchShim

    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
    bert = transformers.BertModel(transformers.BertConfig(vocab_size=20, **sizes), add_pooling_layer=False)
    before = {name: param.detach().clone() for name, param in bert.named_parameters()}
    for param in bert.parameters():
        param.grad = torch.ones_like(param)
    groups = {"encoder": {"pattern": "encoder|embeddings", "learn_rate": 1.0, "layer_decay": 0.5, "n_layers": 3}}
    PyTorchShim(bert).finish_update(make(groups, L2=0.1))
    factors = {"embeddings.": 0.125, "encoder.layer.0.": 0.25, "encoder.layer.1.": 0.5, "encoder.layer.2.": 1.0}
    seen = set()
    for name, param in bert.named_parameters():
        start = next(start for start in factors if name.startswith(start))
        seen.add(start)
        decay = 0.0 if name.endswith("bias") or "LayerNorm" in name else 0.1 * factors[start]
        expected = (before[name] - factors[start]) * (1 - decay)
        assert_allclose(param.detach().numpy(), expected.numpy(), rtol=1e-4, atol=1e-4)
    assert seen == set(factors)


@pytest.mark.parametrize("settings", [{}, {"L2": 0.1, "L2_is_weight_decay": False}, {"use_averages": True, "L2": 0.1}])
def test_steps_taken_together_are_those_of_single_calls(settings):
    torch = pytest.importorskip("torch")
    groups = {
        "encoder": {"pattern": r"^encoder\.", "learn_rate": 0.1, "layer_decay": 0.5, "n_layers": 2},
        "late": {"pattern": "late", "unfreeze_at": 3},
    }
    names = [ENCODER, "encoder.layer.1.output.dense.bias", "no_piece", "late"]
    start = {(1, name): torch.randn(3, 4) for name in names}
    optimizers = [make(groups, grad_clip=1.0, **settings) for _ in range(2)]
    one, other = ({key: torch.nn.Parameter(value.clone()) for key, value in start.items()} for _ in range(2))
    for step in range(5):
        present = names[: 4 - step % 2]
        for key in ((1, name) for name in present):
            gradient = torch.randn(3, 4) * (3 if step % 2 else 0.01)
            one[key].grad, other[key].grad = gradient.clone(), gradient.clone()
            optimizers[0](key, one[key].data.numpy(), one[key].grad.numpy())
        optimizers[1].step_together({(1, name): other[1, name] for name in present})
        for optimizer in optimizers:
            optimizer.step_schedules()
    for key in start:
        assert_allclose(other[key].data, one[key].data, rtol=1e-5, atol=1e-6)
        if settings.get("use_averages"):
            assert_allclose(*(optimizer.averages[key] for optimizer in optimizers), rtol=1e-5, atol=1e-6)
        assert optimizers[0].nr_update[key] == optimizers[1].nr_update[key]
