"""What a weighting that needs "last_layer" sees: the gradient of each loss at the last shared layer's parameters."""

import sys

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, JOINT, LISTENER, has_moved, heads_config, make_examples, weights_of
from thinc.api import fix_random_seed
from tiny_transformers import write_bert

import spacy_mtl  # noqa: F401  (the registries)
from spacy_mtl.layers.last_layer import LastLayer
from spacy_mtl.network.finite_gradients import drop_gradients

CNN = ENCODER | {"@architectures": "spacy_mtl.HashEmbedCNN.v1", "maxout_pieces": 3}
# the last head finds no gold in the batch
HEADS = JOINT | heads_config(mood={"kind": "DocClassifier", "label_prefix": "m="})
FACTORS = {"intent": 2.0, "slots": 0.5, "mood": 1.0}


class Watching:
    """Keeps what it sees of a step, and merges by the sum."""

    model = None
    needs = "last_layer"

    def __init__(self):
        self.seen = []

    def bind(self, heads):
        pass

    def weights(self, losses, step):
        return {key: FACTORS[key] for key in losses}

    def merge(self, gradients, step):
        self.seen.append((dict(gradients), dict(step.last_layer)))
        return sum(gradients.values())


spacy.registry.mtl_weightings.register("test.Watching.v1", func=Watching)


def make(encoder, *, upstream=None, others=None):
    fix_random_seed(0)
    nlp = spacy.blank("en")
    if upstream is not None:
        nlp.add_pipe("tok2vec", config={"model": upstream})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    weighting = {"@mtl_weightings": "test.Watching.v1"}
    nlp.add_pipe("multitask", config={"model": model, "heads": HEADS, "weighting": weighting})
    for name, config in (others or {}).items():
        nlp.add_pipe(name, config=config)
    nlp.config["initialize"]["components"]["multitask"] = {"labels": {"mood": ["glad", "sad"]}}
    nlp.initialize(lambda: make_examples(nlp))
    return nlp


def losses_of(nlp):
    found = nlp.update(make_examples(nlp), sgd=False, losses={})
    return {key: found[f"multitask/{key}"] for key in HEADS}


def last_layer_of(nlp):
    """The last layer's parameters, in the order of the flat gradient."""
    nodes = [node for _, pipe in nlp.pipeline for node in pipe.model.walk()]
    maxout = [node for node in nodes if node.name == "maxout"][-1]
    norm = [node for node in nodes if node.name == "layernorm"][-1]
    return [maxout.get_param("W"), maxout.get_param("b"), norm.get_param("G"), norm.get_param("b")]


@pytest.mark.parametrize("listener", [False, True])
def test_gradients_of_each_loss_equal_finite_differences(listener):
    nlp = make(LISTENER, upstream=CNN) if listener else make(CNN)
    rng = np.random.default_rng(0)
    params = last_layer_of(nlp)
    for param in params:
        param += rng.normal(size=param.shape).astype("f") * 0.1
    losses = losses_of(nlp)
    assert losses["mood"] == 0.0
    ((at_vectors, at_layer),) = nlp.get_pipe("multitask").weighting.seen
    assert set(at_vectors) == set(at_layer) == {"intent", "slots"}
    for name, flat in at_layer.items():
        assert flat.shape == (sum(param.size for param in params),)
        parts = np.split(flat, np.cumsum([param.size for param in params])[:-1])
        for param, gradient in zip(params, parts, strict=True):
            direction = rng.normal(size=param.shape).astype("f") + np.sign(gradient).reshape(param.shape)
            expected = float(direction.ravel() @ gradient)
            assert abs(expected) > 1e-2
            eps, kept, around = min(1e-3, 4e-3 / abs(expected)), param.copy(), []
            for sign in (1, -1):
                param[:] = kept + sign * eps * direction
                around.append(losses_of(nlp)[name])
            param[:] = kept
            found = FACTORS[name] * (around[0] - around[1]) / (2 * eps)
            assert found == pytest.approx(expected, rel=0.03), (name, param.shape)


def test_a_loss_through_a_condition_counts_for_the_loss_that_it_came_from():
    """Without gold of its own the intent has no gradient, though the slots' loss flows through it."""
    nlp = make(CNN)
    pipe = nlp.get_pipe("multitask")
    nlp.update(make_examples(nlp), sgd=False)
    with_condition = pipe.weighting.seen[-1][1]["slots"]
    projection = pipe.heads["slots"].model.layers[3]
    projection.get_param("W")[:] = 0.0
    nlp.update(make_examples(nlp), sgd=False)
    assert not np.allclose(with_condition, pipe.weighting.seen[-1][1]["slots"], rtol=1e-2)


def refused():
    return pytest.raises(
        ValueError, match=r"'multitask': the weighting Watching needs .*; use spacy_mtl.HashEmbedCNN.v1"
    )


def test_an_encoder_that_can_not_give_them_is_refused():
    with refused():
        make(ENCODER)
    with refused():
        make(LISTENER, upstream=ENCODER)


def transformer(folder, **settings):
    pytest.importorskip("transformers")
    return {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": write_bert(folder, width=32), **settings}


@pytest.mark.parametrize("listener", [False, True])
def test_gradients_at_a_transformer_add_up_to_that_of_the_whole_backward_pass(listener, tmp_path):
    encoder = transformer(tmp_path / "bert")
    nlp = make(LISTENER, upstream=encoder) if listener else make(encoder)
    learn(nlp)
    for _, pipe in nlp.pipeline:
        drop_gradients(pipe.model)
    nlp.update(make_examples(nlp), sgd=False)
    found = nlp.get_pipe("multitask").weighting.seen[-1][1]
    assert set(found) == {"intent", "slots"}
    shim = next(shim for _, pipe in nlp.pipeline for node in pipe.model.walk() for shim in node.shims)
    expected = [param.grad.numpy().ravel() for param in shim.module.last_linear.parameters()]
    np.testing.assert_allclose(sum(found.values()), np.concatenate(expected), rtol=1e-3, atol=1e-5)
    assert all(np.abs(flat).max() > 1e-3 for flat in found.values())


@pytest.mark.spacy_transformers
def test_a_compiled_transformer_and_one_of_spacy_transformers_are_refused(tmp_path):
    with refused():
        make(transformer(tmp_path / "bert", compiled=True))
    pytest.importorskip("spacy_transformers")
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": str(tmp_path / "bert")}
    model["get_spans"] = {"@span_getters": "spacy-transformers.doc_spans.v1"}
    nlp.add_pipe("transformer", config={"model": model})
    shared = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": listener}
    weighting = {"@mtl_weightings": "test.Watching.v1"}
    nlp.add_pipe("multitask", config={"model": shared, "heads": JOINT, "weighting": weighting})
    with refused():
        nlp.initialize(lambda: make_examples(nlp))


def learn(nlp):
    """Move the heads away from zero, where they send no gradient to the encoder."""
    optimizer = nlp.create_optimizer()
    for _ in range(3):
        nlp.update(make_examples(nlp), sgd=optimizer)


def seen_by(nlp):
    """What the weighting sees of a step without dropout."""
    nlp.update(make_examples(nlp), sgd=False)
    return nlp.get_pipe("multitask").weighting.seen[-1][1]


def same(found, expected):
    assert found.keys() == expected.keys() == {"intent", "slots"}
    assert all(np.abs(expected[name]).max() > 1e-3 for name in expected)
    assert all(found[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-6) for name in expected)


# several listeners: the first ones get another function from the pipe than the last one
TAGGER = {"tagger": {"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": LISTENER}}}


without_tags = make_examples


def with_tags(nlp):
    found = without_tags(nlp)
    for eg in found:
        for token in eg.reference:
            token.tag_ = "X" if token.i % 2 else "Y"
    return found


@pytest.mark.parametrize("how", ["loaded", "sourced", "replaced"])
@pytest.mark.parametrize("several", [False, True])
def test_the_pipe_listened_to_is_found_in_the_first_step_whatever_came_before(how, several, tmp_path, monkeypatch):
    if several:
        monkeypatch.setattr(sys.modules[__name__], "make_examples", with_tags)
    nlp = make(LISTENER, upstream=CNN, others=TAGGER if several else {})
    learn(nlp)
    expected = seen_by(nlp)
    nlp.to_disk(tmp_path)
    if how == "loaded":
        nlp = spacy.load(tmp_path)
    elif how == "sourced":
        nlp, source = spacy.blank("en", vocab=nlp.vocab), nlp
        nlp.add_pipe("tok2vec", source=source)
        nlp.add_pipe("multitask", source=source)
    else:
        nlp.replace_listeners("tok2vec", "multitask", ["model.tok2vec"])
    same(seen_by(nlp), expected)


def test_over_a_frozen_pipe_there_is_nothing_to_combine():
    nlp = make(LISTENER, upstream=CNN)
    pipe = nlp.get_pipe("multitask")
    learn(nlp)
    n_seen, before = len(pipe.weighting.seen), [weights_of(pipe) for pipe in (nlp.get_pipe("tok2vec"), pipe)]
    nlp.update(make_examples(nlp), sgd=nlp.create_optimizer(), exclude=["tok2vec"], annotates=["tok2vec"])
    assert len(pipe.weighting.seen) == n_seen
    moved = [has_moved(*pair) for pair in zip(before, map(weights_of, (nlp.get_pipe("tok2vec"), pipe)), strict=True)]
    assert moved == [False, True]


NORM_SCALING = {"@mtl_weightings": "spacy_mtl.NormScaling.v1"}


def merged_gradients(nlp, monkeypatch, *, reuse):
    """The gradients of all pipes in a step with dropout, and whether the encoder was given those of its last layer."""
    reused = []
    finish, expect = LastLayer.finish, LastLayer.expect
    with monkeypatch.context() as patch:
        patch.setattr(LastLayer, "expect", expect if reuse else lambda *args: None)
        patch.setattr(LastLayer, "finish", lambda *args: reused.append(finish(*args)) or reused[-1])
        for _, pipe in nlp.pipeline:
            drop_gradients(pipe.model)
        fix_random_seed(1)
        nlp.update(make_examples(nlp), sgd=False, drop=0.2)
    assert len(reused) == 1
    nodes = [node for _, pipe in nlp.pipeline for node in pipe.model.walk()]
    found = [node.get_grad(name).copy() for node in nodes for name in node.param_names if node.has_grad(name)]
    return found, reused[0] is not None


@pytest.mark.parametrize(
    ("settings", "reuses"),
    [
        ({}, True),
        ({"listener": True}, True),
        # weights of 1: a plain sum
        ({"weighting": {"@mtl_weightings": "spacy_mtl.GradNorm.v1", "learn_rate": 0.0}}, False),
        ({"weighting": {"@mtl_weightings": "test.Watching.v1"}}, False),
        ({"sharing": {"@mtl_sharing": "spacy_mtl.CrossStitch.v1"}}, True),
        ({"listener": True, "others": TAGGER}, False),
        ({"keep": {"intent": 1.0}}, False),
    ],
    ids=str,
)
def test_the_last_layer_is_not_run_again_for_a_weighted_sum(settings, reuses, tmp_path, monkeypatch):
    if settings.get("others"):
        monkeypatch.setattr(sys.modules[__name__], "make_examples", with_tags)
    settings = {"weighting": NORM_SCALING, "sharing": None, "listener": False, "others": {}} | settings
    encoder = LISTENER if settings["listener"] else CNN
    nlp = spacy.blank("en")
    if settings["listener"]:
        nlp.add_pipe("tok2vec", config={"model": CNN})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder, "sharing": settings["sharing"]}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT, "weighting": settings["weighting"]})
    for name, config in settings["others"].items():
        nlp.add_pipe(name, config=config)
    fix_random_seed(0)
    nlp.initialize(lambda: make_examples(nlp))
    if "keep" in settings:
        nlp.to_disk(tmp_path)
        given = {"init_from": str(tmp_path), "keep": settings["keep"]}
        nlp.config["initialize"]["components"]["multitask"] = given
        nlp.initialize(lambda: make_examples(nlp))
    learn(nlp)
    found, reused = merged_gradients(nlp, monkeypatch, reuse=True)
    expected, _ = merged_gradients(nlp, monkeypatch, reuse=False)
    assert reused == reuses
    assert len(found) == len(expected) > 10
    for gradient, plain in zip(found, expected, strict=True):
        np.testing.assert_allclose(gradient, plain, rtol=1e-5, atol=1e-5 * np.abs(plain).max())
