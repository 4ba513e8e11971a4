"""Every sharing layer in a pipeline: weightings, resuming, heads added or left out, threads."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import spacy
from balancing import CNN, use
from numpy.testing import assert_array_equal
from pipelines import JOINT, has_moved, heads_config, make_examples, weights_of
from thinc.api import fix_random_seed

from spacy_mtl.network.finite_gradients import drop_gradients
from spacy_mtl.optimizers.grouped import make_optimizer_v1
from spacy_mtl.optimizers.parameters import find_parameters
from spacy_mtl.origin import mark, name_corpus
from spacy_mtl.training.save_state import load_training, save_training

SETTINGS = {
    "Adapters": {"by": "head"},
    "CrossStitch": {"depth": 2},
    "LayerMix": {"n_layers": 2},
    "MMoE": {"n_experts": 3, "width": 24},
    "PLE": {"width": 24, "n_levels": 2},
}
WEIGHTINGS = [use("Static"), use("PCGrad", at="vectors"), use("CAGrad")]
POS = heads_config(pos={"kind": "Tagger", "attr": "pos"})
HEADS = JOINT | POS


def examples_of(nlp, step=1):
    """All gold, or that of some heads."""
    found = make_examples(nlp, ents=step % 3 > 0, cats=step % 3 != 2)
    for number, eg in enumerate(found):
        for index, token in enumerate(eg.reference):
            token.pos_ = "NOUN" if index % 2 else "VERB"
        mark(eg.reference, "ab"[number % 2])
        name_corpus(eg.predicted, "ab"[number % 2])
    return found


def make(name, weighting=None, heads=None, **settings):
    fix_random_seed(0)
    nlp = spacy.blank("en")
    sharing = {"@mtl_sharing": f"spacy_mtl.{name}.v1", **SETTINGS[name], **settings}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": CNN, "sharing": sharing}
    config = {"model": model, "heads": heads or HEADS, "weighting": weighting or use("Static")}
    nlp.add_pipe("multitask", config=config)
    nlp.initialize(lambda: examples_of(nlp))
    return nlp


def bound(nlp):
    optimizer = make_optimizer_v1(0.02, {}, L2=0.01, use_averages=True)
    optimizer.bind(nlp)
    return optimizer


def learn(nlp, optimizer, steps):
    """RETURNS: the losses."""
    return [nlp.update(examples_of(nlp, step), sgd=optimizer, drop=0.1, losses={}) for step in steps]


def assert_same(nlp, other):
    expected, found = find_parameters(nlp), find_parameters(other)
    assert expected.keys() == found.keys()
    for name, parameter in expected.items():
        assert_array_equal(found[name].weights, parameter.weights, err_msg=name)


def scores_of(nlp, head):
    """A head's scores of the texts, as arrays."""
    found = nlp.get_pipe("multitask").model.predict([eg.predicted for eg in examples_of(nlp)])[head]
    return [found] if isinstance(found, np.ndarray) else list(found.potentials)


def same_scores(nlp, other, head):
    return all(np.allclose(*pair, atol=1e-5) for pair in zip(scores_of(nlp, head), scores_of(other, head), strict=True))


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=lambda weighting: weighting["@mtl_weightings"].split(".")[1])
@pytest.mark.parametrize("name", SETTINGS)
def test_resumed_and_loaded_are_the_same_as_not_stopped(name, weighting, tmp_path):
    straight = make(name, weighting)
    losses = learn(straight, bound(straight), range(6))
    stopped = make(name, weighting)
    optimizer = bound(stopped)
    assert learn(stopped, optimizer, range(3)) == losses[:3]
    save_training(optimizer, stopped, tmp_path / "state")
    stopped.to_disk(tmp_path / "model")
    assert_same(stopped, spacy.load(tmp_path / "model"))
    resumed = make(name, weighting)
    optimizer = make_optimizer_v1(0.02, {}, L2=0.01, use_averages=True)
    load_training(optimizer, resumed, tmp_path / "state")
    assert learn(resumed, optimizer, range(3, 6)) == losses[3:]
    assert_same(straight, resumed)


@pytest.mark.parametrize("name", SETTINGS)
def test_losses_one_by_one_add_up_to_the_sum(name):
    """What a weighting that needs gradients does where it has nothing to change: no conflict, or a scale of 0."""
    gradients = []
    for weighting in (use("Static"), use("CAGrad", c=0.0), use("CAGrad", c=0.0, at="vectors")):
        nlp = make(name, weighting)
        learn(nlp, bound(nlp), range(2))
        drop_gradients(nlp.get_pipe("multitask").model)
        nlp.update(examples_of(nlp), sgd=False)
        gradients.append({key: found.gradient.copy() for key, found in find_parameters(nlp).items()})
    for other in gradients[1:]:
        for key, expected in gradients[0].items():
            np.testing.assert_allclose(other[key], expected, rtol=2e-2, atol=2e-4, err_msg=key)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_head_that_is_left_out_leaves_the_others_as_they_were(name, tmp_path):
    nlp = make(name)
    learn(nlp, bound(nlp), range(6))
    nlp.to_disk(tmp_path)
    smaller = spacy.load(tmp_path, exclude=["multitask"])
    config = nlp.get_pipe_config("multitask")
    config["heads"] = {key: value for key, value in config["heads"].items() if key != "pos"}
    pipe = smaller.add_pipe("multitask", config={key: config[key] for key in ("model", "heads", "weighting")})
    pipe.from_disk(tmp_path / "multitask", exclude=["vocab"])
    for head in JOINT:
        assert same_scores(nlp, smaller, head)
    # and so again after it was saved
    smaller.to_disk(tmp_path / "smaller")
    assert same_scores(nlp, spacy.load(tmp_path / "smaller"), "slots")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_head_is_added_by_name_and_learns(name, tmp_path):
    settings = {"own": 1.0} if name == "CrossStitch" else {}
    settings |= {"n_levels": 1} if name == "PLE" else {}
    nlp = make(name, heads=JOINT, **settings)
    learn(nlp, bound(nlp), range(6))
    pipe = nlp.get_pipe("multitask")
    if name == "CrossStitch":
        # so that the new column, which stands in for one of the old, is seen by no one
        layer = pipe.encoder.get_ref("sharing")
        for head, other in (("intent", "slots"), ("slots", "intent")):
            layer.set_param(f"{head}/from/{other}", layer.get_param(f"{head}/from/{other}") * 0)
    nlp.to_disk(tmp_path)
    larger = make(name, **settings)
    larger.get_pipe("multitask").from_disk(tmp_path / "multitask", exclude=["vocab", "heads/pos"])
    for head in JOINT:
        assert same_scores(nlp, larger, head)
    before = learn(larger, bound(larger), range(1))[0]["multitask/pos"]
    after = learn(larger, bound(larger), range(30))[-1]["multitask/pos"]
    assert after < 0.5 * before


@pytest.mark.parametrize("name", SETTINGS)
def test_four_threads_predict_what_one_does(name):
    nlp = make(name)
    learn(nlp, bound(nlp), range(3))
    expected = {head: scores_of(nlp, head) for head in HEADS}
    with ThreadPoolExecutor(4) as pool:
        runs = [(head, pool.submit(scores_of, nlp, head)) for _ in range(8) for head in HEADS]
        for head, run in runs:
            assert all(np.array_equal(*pair) for pair in zip(run.result(), expected[head], strict=True))


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("weighting", [use("Static"), use("PCGrad")], ids=["sum", "last_layer"])
def test_beside_a_domain_adversary(name, weighting):
    heads = HEADS | heads_config(domain={"kind": "DomainAdversary", "total_steps": 1, "max_lambda": 0.1})
    nlp = make(name, weighting, heads=heads)
    losses = learn(nlp, bound(nlp), range(30))
    assert losses[-1]["multitask/pos"] < 0.8 * losses[0]["multitask/pos"]
    assert losses[-1]["multitask/domain"] > 0.0
    assert all(np.isfinite(found.weights).all() for found in find_parameters(nlp).values())


@pytest.mark.parametrize("name", SETTINGS)
def test_parts_of_a_head_without_gold_stay_as_they_are(name):
    """Momentum and weight decay would move them. What other heads' losses reach does move."""
    nlp = make(name, **{"PLE": {"n_levels": 1}, "CrossStitch": {"depth": 1}}.get(name, {}))
    optimizer, layer = bound(nlp), nlp.get_pipe("multitask").encoder.get_ref("sharing")
    learn(nlp, optimizer, [1, 1])
    own = [param for param in layer.param_names if param.startswith("slots/")]
    if name == "CrossStitch":
        own = [param for param in own if "/from/" in param]
    before = {param: layer.get_param(param).copy() for param in layer.param_names}
    nlp.update(examples_of(nlp, 3), sgd=optimizer)
    moved = {param for param in before if not np.array_equal(before[param], layer.get_param(param))}
    assert own
    assert moved
    assert not moved & set(own)


@pytest.mark.parametrize("name", SETTINGS)
def test_parameters_are_counted_by_part_and_logged(name, caplog):
    with caplog.at_level(logging.INFO, logger="spacy"):
        nlp = make(name)
    counts = nlp.get_pipe("multitask").parameter_counts
    assert list(counts) == ["encoder", "sharing", *(f"heads/{head}" for head in HEADS)]
    assert sum(counts.values()) == sum(found.weights.size for found in find_parameters(nlp).values())
    assert counts["sharing"] > 0
    said = [record.getMessage() for record in caplog.records if "parameters" in record.getMessage()]
    assert said == [
        f"component 'multitask': {sum(counts.values()):,} parameters: "
        + ", ".join(f"{part} {count:,}" for part, count in counts.items())
    ]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_head_whose_gradient_is_nan_is_skipped(name, monkeypatch):
    nlp = make(name, use("PCGrad"))
    pipe = nlp.get_pipe("multitask")
    pipe.nan_gradient = "skip"
    learn(nlp, bound(nlp), range(2))
    get_loss = pipe.heads["pos"].get_loss
    monkeypatch.setattr(pipe.heads["pos"], "get_loss", lambda *args: (get_loss(*args)[0], args[1] * np.nan))
    before = weights_of(pipe.heads["pos"])
    learn(nlp, bound(nlp), [1, 1])
    assert not has_moved(before, weights_of(pipe.heads["pos"]))
    assert all(np.isfinite(found.weights).all() for found in find_parameters(nlp).values())
