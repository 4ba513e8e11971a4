"""A loss of weight 0 moves nothing, and a batch whose gradient is NaN or infinite leaves the weights unchanged."""

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, JOINT, has_moved, heads_config, make_examples, make_nlp, weights_of
from thinc.api import Adam

from spacy_mtl.layers.last_layer import LAST_LAYER, LastLayer
from spacy_mtl.network.finite_gradients import drop_gradients

TWO = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})
VALUES = [float("nan"), float("inf")]


def static(**weights):
    return {"@mtl_weightings": "spacy_mtl.Static.v1", "weights": weights}


def gradients_of(nlp):
    """All gradients that are not zero, of all pipes."""
    nodes = [node for _, pipe in nlp.pipeline for node in pipe.model.walk()]
    return [
        (node.name, name)
        for node in nodes
        for name in node.param_names
        if node.has_grad(name) and np.any(node.get_grad(name))
    ]


def spoil(head, value, monkeypatch):
    """Let the gradient of a head's loss have one broken number, while the loss stays as it is."""
    get_loss = head.get_loss

    def broken(examples, scores):
        loss, d_scores = get_loss(examples, scores)
        if d_scores is not None:
            flat = d_scores if isinstance(d_scores, np.ndarray) else d_scores.transitions
            flat[0, 0] = value
        return loss, d_scores

    monkeypatch.setattr(head, "get_loss", broken)


@pytest.mark.parametrize("listener", [False, True])
@pytest.mark.parametrize("heads", [TWO, JOINT], ids=["two", "joint"])
def test_a_weight_of_zero_moves_nothing(listener, heads):
    """Neither by weight decay, nor by the momentum of steps before, nor in the encoder."""
    after = []
    for weighting, gold in ((static(slots=0.0), {}), (static(), {"ents": False})):
        nlp = make_nlp(heads, listener=listener, weighting=weighting)
        pipe = nlp.get_pipe("multitask")
        before = weights_of(pipe.heads["slots"])
        optimizer = Adam(0.01, L2=0.1, L2_is_weight_decay=True)
        for _ in range(3):
            losses = nlp.update(make_examples(nlp, **gold), sgd=optimizer, losses={})
        assert not has_moved(before, weights_of(pipe.heads["slots"]))
        assert losses["multitask"] == losses["multitask/intent"]
        assert (losses["multitask/slots"] > 0.0) == (not gold)
        after.append([weights_of(pipe) for _, pipe in nlp.pipeline])
    assert not any(has_moved(*pair) for pair in zip(*after, strict=True))


def test_momentum_does_not_move_a_head_whose_weight_falls_to_zero():
    nlp = make_nlp(TWO)
    pipe, optimizer = nlp.get_pipe("multitask"), Adam(0.01)
    nlp.update(make_examples(nlp), sgd=optimizer)
    pipe.weighting.factors["slots"] = 0.0
    before = weights_of(pipe.heads["slots"])
    nlp.update(make_examples(nlp), sgd=optimizer)
    assert not has_moved(before, weights_of(pipe.heads["slots"]))


def test_a_head_of_weight_zero_learns_from_a_loss_that_flows_through_it():
    nlp = make_nlp(JOINT, weighting=static(intent=0.0))
    pipe = nlp.get_pipe("multitask")
    before = weights_of(pipe.heads["intent"])
    optimizer = Adam(0.01)
    for _ in range(3):
        nlp.update(make_examples(nlp, cats=False), sgd=optimizer)
    assert has_moved(before, weights_of(pipe.heads["intent"]))


@pytest.mark.parametrize("listener", [False, True])
def test_a_batch_for_heads_of_weight_zero_changes_nothing(listener):
    nlp = make_nlp(TWO, listener=listener, weighting=static(slots=0.0))
    before = [weights_of(pipe) for _, pipe in nlp.pipeline]
    losses = nlp.update(make_examples(nlp, cats=False), sgd=Adam(0.01, L2=0.1), losses={})
    assert losses["multitask"] == 0.0
    assert losses["multitask/slots"] > 0.0
    assert not any(has_moved(*pair) for pair in zip(before, (weights_of(p) for _, p in nlp.pipeline), strict=True))


def test_all_weights_zero_are_an_error():
    with pytest.raises(ValueError, match=r"intent.*slots.*are 0"):
        make_nlp(TWO, weighting=static(intent=0.0, slots=0.0))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", ["intent", "slots"])
@pytest.mark.parametrize("listener", [False, True])
def test_a_broken_gradient_names_the_head_and_leaves_nothing(value, name, listener, monkeypatch):
    nlp = make_nlp(TWO, listener=listener)
    optimizer = Adam(0.01)
    nlp.update(make_examples(nlp), sgd=optimizer)
    for _, pipe in nlp.pipeline:
        pipe.finish_update(optimizer)
    # thinc's momentum moves a tok2vec pipe whose gradient is zero, before the component is asked
    optimizer = Adam(0.01)
    before = [weights_of(pipe) for _, pipe in nlp.pipeline]
    with monkeypatch.context() as patch:
        spoil(nlp.get_pipe("multitask").heads[name], value, patch)
        with pytest.raises(ValueError, match=f"head '{name}': its gradient is .*weights are as before"):
            nlp.update(make_examples(nlp), sgd=optimizer)
    assert not gradients_of(nlp)
    nlp.get_pipe("multitask").finish_update(optimizer)
    assert not any(has_moved(*pair) for pair in zip(before, (weights_of(p) for _, p in nlp.pipeline), strict=True))
    assert nlp.update(make_examples(nlp), sgd=optimizer)["multitask"] < 10.0


def test_a_gradient_that_breaks_in_the_heads_network(monkeypatch):
    """Its scores' gradient is finite."""
    nlp = make_nlp(TWO)
    pipe = nlp.get_pipe("multitask")
    monkeypatch.setattr(pipe.heads["intent"], "get_loss", lambda examples, scores: (1.0, scores * 0 + 10.0))
    pipe.heads["intent"].model.get_ref("output").get_param("W")[:] = 3e38
    with pytest.raises(ValueError, match="head 'intent': its gradient"), np.errstate(all="ignore"):
        nlp.update(make_examples(nlp), sgd=Adam(0.01))
    assert not gradients_of(nlp)


def test_a_weight_that_is_nan_names_the_head(monkeypatch):
    nlp = make_nlp(TWO)
    pipe = nlp.get_pipe("multitask")
    monkeypatch.setattr(pipe.weighting, "weights", lambda losses, step: dict.fromkeys(losses, float("nan")))
    with pytest.raises(ValueError, match="head 'slots': its gradient"):
        nlp.update(make_examples(nlp), sgd=Adam(0.01))
    assert not gradients_of(nlp)


def test_gradients_of_a_torch_encoder_are_dropped_too(monkeypatch):
    pytest.importorskip("torch")
    embed = {"@architectures": "spacy.MultiHashEmbed.v2", "width": 32, "attrs": ["NORM"], "rows": [200]}
    encoder = {
        "@architectures": "spacy.Tok2Vec.v2",
        "embed": embed | {"include_static_vectors": False},
        "encode": {"@architectures": "spacy.TorchBiLSTMEncoder.v1", "width": 32, "depth": 1, "dropout": 0.0},
    }
    nlp = make_nlp(TWO, model={"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder})
    pipe = nlp.get_pipe("multitask")
    pipe.update(make_examples(nlp), sgd=None)
    shims = [shim for node in pipe.model.walk() for shim in node.shims]
    assert any(param.grad.abs().sum() > 0 for shim in shims for param in shim._model.parameters())
    spoil(pipe.heads["slots"], float("nan"), monkeypatch)
    with pytest.raises(ValueError, match="head 'slots': its gradient"):
        pipe.update(make_examples(nlp), sgd=None)
    assert not any(param.grad.abs().sum() > 0 for shim in shims for param in shim._model.parameters())
    assert not gradients_of(nlp)


def test_a_broken_gradient_in_rehearsal(monkeypatch):
    nlp = make_nlp(TWO)
    optimizer = nlp.resume_training()
    pipe = nlp.get_pipe("multitask")
    pull = pipe.heads["intent"].get_teacher_loss
    monkeypatch.setattr(
        pipe.heads["intent"], "get_teacher_loss", lambda *scores: (pull(*scores)[0], scores[0] * float("nan"))
    )
    before = weights_of(pipe)
    with pytest.raises(ValueError, match="head 'intent': its gradient"):
        nlp.rehearse(make_examples(nlp), sgd=optimizer)
    assert not gradients_of(nlp)
    assert not has_moved(before, weights_of(pipe))


# one for each kind of gradients that a weighting can need
NEEDS = {
    "sum": static(),
    "vectors": {"@mtl_weightings": "spacy_mtl.PCGrad.v1", "at": "vectors"},
    "last_layer": {"@mtl_weightings": "spacy_mtl.PCGrad.v1"},
}
CNN = ENCODER | {"@architectures": "spacy_mtl.HashEmbedCNN.v1"}


def make_skipping(needs, heads=TWO, **settings):
    return make_nlp(heads, weighting=NEEDS[needs], tok2vec=CNN, nan_gradient="skip", **settings)


def learn(nlp, n_steps, examples=None):
    optimizer = Adam(0.01, L2=0.1, L2_is_weight_decay=True)
    for _ in range(n_steps):
        losses = nlp.update(examples or make_examples(nlp), sgd=optimizer, losses={})
    return losses


@pytest.mark.parametrize("needs", NEEDS)
@pytest.mark.parametrize("name", ["intent", "slots"])
@pytest.mark.parametrize("listener", [False, True])
@pytest.mark.parametrize("heads", [TWO, JOINT], ids=["two", "joint"])
def test_a_skipped_head_takes_no_part_and_the_other_learns_as_if_alone(
    needs, name, listener, heads, monkeypatch, caplog
):
    """As if its loss had no weight."""
    after = []
    for broken in (True, False):
        nlp = make_skipping(needs, heads, listener=listener)
        pipe = nlp.get_pipe("multitask")
        learn(nlp, 2)
        for _, part in nlp.pipeline:
            drop_gradients(part.model)
        before = weights_of(pipe.heads[name])
        with monkeypatch.context() as patch:
            if broken:
                spoil(pipe.heads[name], float("nan"), patch)
            else:
                weights = pipe.weighting.weights
                patch.setattr(pipe.weighting, "weights", lambda *args, f=weights: f(*args) | {name: 0.0})
            losses = learn(nlp, 3)
        if heads is TWO or name == "slots":
            # a head that is seen by others learns from their losses if its own has no weight
            assert not has_moved(before, weights_of(pipe.heads[name]))
            after.append([weights_of(part) for _, part in nlp.pipeline])
        other = "slots" if name == "intent" else "intent"
        assert losses["multitask"] == pytest.approx(losses[f"multitask/{other}"], rel=1e-6)
        assert losses[f"multitask/{name}"] > 0.0
        assert pipe.cfg.get("n_skipped", {}) == ({name: 3} if broken else {})
    assert not after or not any(has_moved(*pair) for pair in zip(*after, strict=True))
    said = [record.getMessage() for record in caplog.records if "nan_gradient" in record.getMessage()]
    assert len(said) == 1
    assert f"head '{name}': its gradient is nan; nan_gradient is 'skip'" in said[0]


@pytest.mark.parametrize("needs", NEEDS)
@pytest.mark.parametrize("value", VALUES)
def test_if_all_heads_are_skipped_nothing_moves(needs, value, monkeypatch):
    nlp = make_skipping(needs)
    learn(nlp, 2)
    before = weights_of(nlp.get_pipe("multitask"))
    for head in nlp.get_pipe("multitask").heads.values():
        spoil(head, value, monkeypatch)
    assert learn(nlp, 2)["multitask"] == 0.0
    assert not gradients_of(nlp)
    assert not has_moved(before, weights_of(nlp.get_pipe("multitask")))


@pytest.mark.parametrize("needs", NEEDS)
def test_a_loss_that_is_nan_is_skipped_too(needs, monkeypatch):
    nlp = make_skipping(needs)
    pipe = nlp.get_pipe("multitask")
    learn(nlp, 2)
    before = weights_of(pipe)
    monkeypatch.setattr(pipe.heads["slots"], "get_loss", lambda examples, scores: (float("nan"), None))
    losses = learn(nlp, 2)
    assert losses["multitask"] == losses["multitask/intent"] > 0.0
    assert losses["multitask/slots"] == 0.0
    assert pipe.cfg["n_skipped"] == {"slots": 2}
    assert has_moved(before, weights_of(pipe))


class Overflowing(LastLayer):
    """The second gradient of those that are asked of it is infinite."""

    @property
    def backprop(self):
        return self._broken if self._backprop else None

    @backprop.setter
    def backprop(self, backprop):
        self._backprop = backprop

    def _broken(self, d_tokvecs):
        found = self._backprop(d_tokvecs)
        found[1] = np.inf
        return found


@pytest.mark.parametrize("sharing", [None, {"@mtl_sharing": "spacy_mtl.Adapters.v1", "by": "head"}])
def test_a_gradient_that_breaks_in_the_last_layer_is_skipped(sharing, monkeypatch):
    """At the vectors it is finite yet."""
    nlp = make_skipping("last_layer", model={"@architectures": "spacy_mtl.SharedEncoder.v1", "sharing": sharing})
    pipe = nlp.get_pipe("multitask")
    learn(nlp, 2)
    before = {name: weights_of(head) for name, head in pipe.heads.items()}
    encoder = next(node for node in pipe.model.walk() if LAST_LAYER in node.attrs)
    encoder.attrs[LAST_LAYER] = Overflowing()
    learn(nlp, 2)
    assert pipe.cfg["n_skipped"] == {"slots": 2}
    assert {name: has_moved(old, weights_of(pipe.heads[name])) for name, old in before.items()} == {
        "intent": True,
        "slots": False,
    }
    assert all(np.isfinite(weights).all() for weights in weights_of(pipe).values())


def test_what_was_accumulated_before_is_dropped_for_the_head_alone(monkeypatch):
    nlp = make_skipping("sum")
    pipe = nlp.get_pipe("multitask")
    learn(nlp, 2)
    nlp.update(make_examples(nlp), sgd=None)
    pipe = nlp.get_pipe("multitask")
    before = {name: weights_of(head) for name, head in pipe.heads.items()}
    spoil(pipe.heads["slots"], float("nan"), monkeypatch)
    pipe.update(make_examples(nlp))
    pipe.finish_update(Adam(0.01))
    assert [has_moved(before[name], weights_of(head)) for name, head in pipe.heads.items()] == [True, False]


def test_a_skipped_head_in_rehearsal(monkeypatch):
    nlp = make_skipping("sum")
    learn(nlp, 2)
    optimizer = nlp.resume_training()
    pipe = nlp.get_pipe("multitask")
    pull = pipe.heads["intent"].get_teacher_loss
    monkeypatch.setattr(
        pipe.heads["intent"], "get_teacher_loss", lambda *scores: (pull(*scores)[0], scores[0] * float("nan"))
    )
    before = weights_of(pipe.heads["intent"])
    nlp.rehearse(make_examples(nlp), sgd=optimizer)
    assert not has_moved(before, weights_of(pipe.heads["intent"]))
    assert pipe.cfg["n_skipped"] == {"intent": 1}


def test_how_often_heads_were_skipped_is_saved_and_the_option_too(monkeypatch, tmp_path):
    nlp = make_skipping("sum")
    with monkeypatch.context() as patch:
        spoil(nlp.get_pipe("multitask").heads["slots"], float("nan"), patch)
        learn(nlp, 3)
    nlp.to_disk(tmp_path)
    pipe = spacy.load(tmp_path).get_pipe("multitask")
    assert pipe.cfg["n_skipped"] == {"slots": 3}
    assert pipe.nan_gradient == "skip"


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match="nan_gradient"):
        make_nlp(TWO, nan_gradient="ignore")
