"""A head whose score no longer improves gets its best weights back, and stops moving what it shares."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
import spacy
from balancing import CNN, TWO, encoder_gradient, make_cnn, make_examples, use
from numpy.testing import assert_allclose, assert_array_equal
from pipelines import JOINT, heads_config, make_nlp
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from toy import make_toy, toy_config

from spacy_mtl.optimizers.grouped import make_optimizer_v1
from spacy_mtl.optimizers.parameters import find_parameters
from spacy_mtl.training.head_patience import make_head_patience_v1
from spacy_mtl.training.save_state import load_training, save_training


def start(nlp, patience, freeze=None):
    make_head_patience_v1(patience, freeze)(nlp, {"step": 0, "epoch": 0})


def step(nlp, optimizer, examples=None):
    """As spaCy's loop does. RETURNS: the losses."""
    losses = nlp.update(examples or make_examples(nlp), sgd=False, losses={})
    for _, pipe in nlp.pipeline:
        pipe.finish_update(optimizer)
    optimizer.step_schedules()
    return losses


def evaluate(nlp, optimizer, examples=None):
    with nlp.use_params(optimizer.averages) if optimizer.averages else nullcontext():
        return nlp.evaluate(examples or make_examples(nlp))


def make_optimizer(nlp, rate=0.05, **settings):
    optimizer = make_optimizer_v1(rate, {}, L2=0.01, **settings)
    optimizer.bind(nlp)
    return optimizer


def finish(nlp, head, optimizer, n_steps=8):
    """Learn, and stop at an evaluation that is no better than the one before, which is the best one."""
    for _ in range(n_steps):
        step(nlp, optimizer)
    evaluate(nlp, optimizer)
    rate, optimizer.learn_rate = optimizer.learn_rate, 1e-9
    step(nlp, optimizer)
    optimizer.learn_rate = rate
    evaluate(nlp, optimizer)
    assert head in nlp.get_pipe("multitask").progress.done()


def flat(model):
    return np.concatenate([node.get_param(name).ravel() for node in model.walk() for name in node.param_names])


def moved(nlp, do):
    """Do something. RETURNS: the heads, "encoder" and "sharing" of which a weight has changed."""
    pipe = nlp.get_pipe("multitask")
    parts = {key: head.model for key, head in pipe.heads.items()}
    parts["encoder"] = nlp.get_pipe("tok2vec").model if "tok2vec" in nlp.pipe_names else pipe.encoder.get_ref("tok2vec")
    if pipe.encoder.maybe_get_ref("sharing") is not None:
        parts["sharing"] = pipe.encoder.get_ref("sharing")
    before = {name: flat(model) for name, model in parts.items()}
    do()
    return {name for name, model in parts.items() if not np.array_equal(before[name], flat(model))}


WEIGHTINGS = [
    use("Static", weights={"slots": 4.0}),
    use("NormScaling", at="vectors"),
    use("PCGrad"),
    use("Uncertainty"),
]


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=lambda weighting: weighting["@mtl_weightings"])
@pytest.mark.parametrize("head", ["intent", "slots"])
def test_a_done_head_moves_only_itself(weighting, head):
    nlp = make_cnn(weighting)
    optimizer = make_optimizer(nlp)
    start(nlp, {head: 1})
    finish(nlp, head, optimizer)
    gold = make_examples(nlp, cats=head == "intent", ents=head == "slots")
    step(nlp, optimizer, gold)  # gives the head its best weights
    assert moved(nlp, lambda: step(nlp, optimizer, gold)) == {head}
    assert moved(nlp, lambda: step(nlp, optimizer)) == {"intent", "slots", "encoder"}


@pytest.mark.parametrize("weighting", WEIGHTINGS[:3], ids=lambda weighting: weighting["@mtl_weightings"])
@pytest.mark.parametrize("listener", [False, True])
@pytest.mark.parametrize("freeze", ["encoder", "head"])
def test_the_encoders_gradient_is_that_of_the_others(weighting, listener, freeze):
    nlp = make_cnn(weighting, listener=listener)
    optimizer = make_optimizer(nlp)
    start(nlp, {"intent": 1}, {"intent": freeze})
    finish(nlp, "intent", optimizer)
    others = encoder_gradient(nlp, make_examples(nlp, cats=False))
    assert np.abs(others).max() > 0
    assert_allclose(encoder_gradient(nlp, make_examples(nlp)), others, rtol=1e-5, atol=1e-8)


def test_a_done_head_keeps_the_factor_of_its_loss():
    nlp = make_cnn(use("Static", weights={"intent": 3.0}))
    optimizer = make_optimizer(nlp)
    start(nlp, {"intent": 1})
    finish(nlp, "intent", optimizer)
    losses = step(nlp, optimizer)
    assert losses["multitask"] == pytest.approx(3 * losses["multitask/intent"] + losses["multitask/slots"])


def test_a_frozen_head_is_left_as_it_is_by_the_heads_that_are_conditioned_on_it():
    nlp = make_cnn(use("Static"), JOINT)
    optimizer = make_optimizer(nlp)
    start(nlp, {"intent": 1}, {"intent": "head"})
    finish(nlp, "intent", optimizer)
    step(nlp, optimizer)
    assert moved(nlp, lambda: step(nlp, optimizer)) == {"slots", "encoder"}
    assert moved(nlp, lambda: step(nlp, optimizer, make_examples(nlp, ents=False))) == set()
    assert step(nlp, optimizer)["multitask/intent"] > 0


def test_a_done_head_does_not_move_the_heads_that_it_is_conditioned_on():
    nlp = make_cnn(use("Static"), JOINT)
    optimizer = make_optimizer(nlp)
    start(nlp, {"slots": 1})
    finish(nlp, "slots", optimizer)
    step(nlp, optimizer)
    assert moved(nlp, lambda: step(nlp, optimizer, make_examples(nlp, cats=False))) == {"slots"}


def test_a_done_head_does_not_move_the_sharing_layer():
    adapters = {"@mtl_sharing": "spacy_mtl.Adapters.v1", "by": "head"}
    nlp = make_nlp(TWO, model={"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": CNN, "sharing": adapters})
    optimizer = make_optimizer(nlp)
    start(nlp, {"slots": 1})
    finish(nlp, "slots", optimizer)
    step(nlp, optimizer)
    assert moved(nlp, lambda: step(nlp, optimizer, make_examples(nlp, cats=False))) == {"slots"}


def test_all_heads_done_over_a_listener_pass_zeros_on_to_the_pipe():
    nlp = make_cnn(use("Static"), listener=True)
    optimizer = make_optimizer(nlp)
    start(nlp, {"intent": 1, "slots": 1}, {"intent": "head"})
    finish(nlp, "intent", optimizer, n_steps=60)
    assert nlp.get_pipe("multitask").progress.done() == {"intent", "slots"}
    assert not encoder_gradient(nlp, make_examples(nlp)).any()


@pytest.mark.parametrize("averages", [False, True])
def test_the_weights_that_come_back_are_those_that_were_evaluated(averages):
    nlp = make_cnn(use("Static"))
    optimizer = make_optimizer(nlp, use_averages=averages)
    head = nlp.get_pipe("multitask").heads["slots"]
    start(nlp, {"slots": 20}, {"slots": "head"})
    best, best_score, n_steps = None, -1.0, 0
    while "slots" not in nlp.get_pipe("multitask").progress.done():
        step(nlp, optimizer)
        score = evaluate(nlp, optimizer)["slots_f"]
        if score > best_score:
            best_score, best_step = score, n_steps
            with nlp.use_params(optimizer.averages) if averages else nullcontext():
                best = flat(head.model)
        n_steps += 1
    assert not np.array_equal(flat(head.model), best)
    for _ in range(3):
        step(nlp, optimizer)
    assert_array_equal(flat(head.model), best)
    with nlp.use_params(optimizer.averages) if averages else nullcontext():
        assert_array_equal(flat(head.model), best)
    record = nlp.get_pipe("multitask").progress.records["slots"]
    assert (record.best_score, record.best_step) == (best_score, best_step)
    assert record.done_at == n_steps - 1 == best_step + 20


def test_patience_is_counted_in_steps_from_the_first_of_the_best_evaluations():
    nlp = make_cnn(use("Static"))
    optimizer = make_optimizer(nlp, 1e-9)
    start(nlp, {"intent": 5})
    done = []
    for number in range(8):
        step(nlp, optimizer)
        if number % 2 == 0:
            evaluate(nlp, optimizer)
            done.append(bool(nlp.get_pipe("multitask").progress.done()))
    assert done == [False, False, False, True]  # at steps 0, 2, 4, 6


def test_a_head_that_begins_late_is_not_done_before():
    late = {"@schedules": "constant_then.v1", "rate": 0.0, "steps": 4,
            "schedule": {"@schedules": "constant.v1", "rate": 1.0}}  # fmt: skip
    nlp = make_cnn(use("Scheduled", schedules={"intent": late}))
    optimizer = make_optimizer(nlp, 1e-9)
    start(nlp, {"intent": 2})
    records = []
    for _ in range(7):
        step(nlp, optimizer)
        evaluate(nlp, optimizer)
        records.append(nlp.get_pipe("multitask").progress.records.get("intent"))
    assert records[:4] == [None] * 4
    assert (records[-1].best_step, records[-1].done_at) == (4, 6)


def test_a_head_without_score_is_not_done_and_the_log_says_why(caplog):
    nlp = make_cnn(use("Static"))
    optimizer = make_optimizer(nlp)
    start(nlp, {"slots": 1, "intent": 1})
    for _ in range(3):
        step(nlp, optimizer)
        evaluate(nlp, optimizer, make_examples(nlp, ents=False))
    assert list(nlp.get_pipe("multitask").progress.records) == ["intent"]
    assert "head 'slots' has a patience but no score" in caplog.text


def test_a_new_label_forgets_the_best_weights():
    nlp = make_cnn(use("Static"))
    optimizer = make_optimizer(nlp)
    start(nlp, {"slots": 1})
    step(nlp, optimizer)
    evaluate(nlp, optimizer)
    nlp.get_pipe("multitask").add_label("DATE", head="slots")
    finish(nlp, "slots", optimizer, n_steps=2)
    nlp.get_pipe("multitask").add_label("TIME", head="slots")
    assert np.isfinite(step(nlp, optimizer)["multitask"])


def test_best_scores_are_in_the_meta_and_not_changed_by_other_evaluations(tmp_path):
    nlp = make_cnn(use("Static"))
    optimizer = make_optimizer(nlp)
    for _ in range(4):
        step(nlp, optimizer)
    score = evaluate(nlp, optimizer)["intent_acc"]
    evaluate(nlp, optimizer, make_examples(nlp)[:1])
    expected = nlp.meta["spacy_mtl"]["heads"]["multitask"]
    assert expected["intent"] == {"best_score": score, "best_step": 3}
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    loaded.evaluate(make_examples(loaded)[:1])
    assert loaded.meta["spacy_mtl"]["heads"]["multitask"] == expected


@pytest.mark.parametrize(
    ("patience", "freeze", "message"),
    [
        ({"slots": 0}, {}, r"at least 1, but there is {'slots': 0}"),
        ({"slots": 9}, {"intent": "head"}, r"freeze_when_done names \['intent'\], which have no patience"),
        ({"slots": 9}, {"slots": "all"}, r"one of \['encoder', 'head'\], but there is {'slots': 'all'}"),
        (
            {"solts": 9},
            {},
            r"patience names 'solts', but the heads that are trained are \['intent', 'slots', 'domain'\]",
        ),
        ({"domain": 9}, {}, r"names 'domain', a head without a main score"),
    ],
)
def test_bad_settings_are_refused_before_the_first_step(patience, freeze, message):
    adversary = heads_config(domain={"kind": "DomainAdversary", "total_steps": 10})
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"heads": JOINT | adversary})
    with pytest.raises(ValueError, match=message):
        start(nlp, patience, freeze)


def test_frozen_components_and_heads_of_one_name():
    nlp = spacy.blank("en")
    for name in ("first", "second"):
        nlp.add_pipe("multitask", name=name, config={"heads": heads_config(intent={"kind": "DocClassifier"})})
    with pytest.raises(
        ValueError, match=r"head of several components; write one of \['first/intent', 'second/intent'\]"
    ):
        start(nlp, {"intent": 5})
    nlp.initialize(lambda: make_examples(nlp))
    start(nlp, {"second/intent": 1})
    optimizer = make_optimizer(nlp, 1e-9)
    for _ in range(2):
        step(nlp, optimizer)
        evaluate(nlp, optimizer)
    assert nlp.get_pipe("first").progress.done() == set()
    assert nlp.get_pipe("second").progress.done() == {"intent"}
    assert {name: list(found) for name, found in nlp.meta["spacy_mtl"]["heads"].items()} == {
        "first": ["intent"],
        "second": ["intent"],
    }
    nlp.config["training"]["frozen_components"] = ["second"]
    start(nlp, {"intent": 5})
    with pytest.raises(ValueError, match=r"names 'second/intent', but the heads that are trained are \['intent'\]"):
        start(nlp, {"second/intent": 5})


def test_a_sourced_component_begins_anew():
    other = make_cnn(use("Static"))
    optimizer = make_optimizer(other)
    start(other, {"intent": 1})
    finish(other, "intent", optimizer)
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", source=other)
    start(nlp, {"intent": 1})
    assert not nlp.get_pipe("multitask").progress.records
    step(nlp, make_optimizer(nlp))
    evaluate(nlp, optimizer)
    assert nlp.meta["spacy_mtl"]["heads"]["multitask"]["intent"]["best_step"] == 0


def learn(nlp, optimizer, steps):
    """With an evaluation after each third step. RETURNS: the losses."""
    found = []
    for number in steps:
        gold = make_examples(nlp, cats=number % 4 != 1)
        found.append(step(nlp, optimizer, gold[: 2 + number % 3]))
        if number % 3 == 2:
            evaluate(nlp, optimizer)
    return found


# all stops with the plain sum, and all weightings at the stop after which a head is done
RESUMED = [("Static", 7), ("Static", 18), ("Static", 27), ("PCGrad", 18), ("FAMO", 18), ("Uncertainty", 18)]
MORE = [(name, stop) for name in ("PCGrad", "FAMO", "Uncertainty") for stop in (7, 27)]


@pytest.mark.parametrize(("name", "stop"), [*RESUMED, *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE)])
@pytest.mark.parametrize("state_first", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_resumed_is_the_same_as_not_stopped(name, stop, state_first, tmp_path):
    tok2vec = CNN | {"rare_word_dropout": 1.0}
    n_steps, patience, freeze = 36, {"intent": 6, "slots": 3}, {"intent": "head"}

    def make():
        return make_nlp(JOINT, weighting=use(name), tok2vec=tok2vec, listener=True)

    straight = make()
    optimizer = make_optimizer(straight, use_averages=True)
    start(straight, patience, freeze)
    losses = learn(straight, optimizer, range(n_steps))
    records = straight.get_pipe("multitask").progress.records
    assert records["intent"].frozen == "head"
    stopped = make()
    optimizer = make_optimizer(stopped, use_averages=True)
    start(stopped, patience, freeze)
    assert learn(stopped, optimizer, range(stop)) == losses[:stop]
    save_training(optimizer, stopped, tmp_path)
    resumed = make()
    optimizer = make_optimizer_v1(0.05, {}, L2=0.01, use_averages=True)
    if not state_first:
        start(resumed, patience, freeze)
    load_training(optimizer, resumed, tmp_path)
    if state_first:
        start(resumed, patience, freeze)
    assert learn(resumed, optimizer, range(stop, n_steps)) == losses[stop:]
    assert resumed.get_pipe("multitask").progress.records == records
    assert resumed.meta["spacy_mtl"]["heads"] == straight.meta["spacy_mtl"]["heads"]
    expected, found = find_parameters(straight), find_parameters(resumed)
    for key, parameter in expected.items():
        assert_array_equal(found[key].weights, parameter.weights, err_msg=key)


def test_a_training_of_spacy_with_patience(tmp_path):
    before_update = {
        "@callbacks": "spacy_mtl.Callbacks.v1",
        "callbacks": {"a": {"@callbacks": "spacy_mtl.HeadPatience.v1", "patience": {"intent": 4}}},
    }
    logger = {"@loggers": "spacy_mtl.Logger.v1", "progress_bar": False, "path": str(tmp_path / "log.jsonl")}
    config = toy_config(make_toy(tmp_path), max_steps=60, eval_frequency=4, before_update=before_update, logger=logger)
    nlp = init_nlp(config.interpolate())
    train(nlp, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    scores = [line["scores"]["intent_acc"] for line in lines]
    last = lines[-1]["heads"]["multitask"]["intent"]
    assert last["frozen"] == "encoder"
    assert last["best_score"] == max(scores)
    assert last["best_step"] == lines[scores.index(max(scores))]["step"]
    best = spacy.load(tmp_path / "model-best")
    step_of_best = max(lines, key=lambda line: (line["score"], line["step"]))
    found = best.meta["spacy_mtl"]["heads"]["multitask"]["intent"]
    assert found == pytest.approx(step_of_best["heads"]["multitask"]["intent"], abs=1e-9)
