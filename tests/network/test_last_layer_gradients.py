"""What a weighting that needs "last_layer" sees: the gradient of each loss at the last shared layer's parameters."""

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, JOINT, LISTENER, heads_config, make_examples
from thinc.api import fix_random_seed
from tiny_transformers import write_bert

import spacy_mtl  # noqa: F401  (the registries)

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


def make(encoder, *, upstream=None):
    fix_random_seed(0)
    nlp = spacy.blank("en")
    if upstream is not None:
        nlp.add_pipe("tok2vec", config={"model": upstream})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    weighting = {"@mtl_weightings": "test.Watching.v1"}
    nlp.add_pipe("multitask", config={"model": model, "heads": HEADS, "weighting": weighting})
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


def test_a_transformer_is_refused(tmp_path):
    pytest.importorskip("transformers")
    with refused():
        make({"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": write_bert(tmp_path / "bert")})
