"""The best model by its worst head, and by Pareto: by hand, and in spaCy's loop."""

import json

import pytest
import spacy
from pipelines import JOINT, heads_config, make_examples, make_nlp
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from toy import make_toy, toy_config

from spacy_mtl.optimizers.grouped import make_optimizer_v1
from spacy_mtl.training.save_state import load_training, save_training
from spacy_mtl.training.select_pareto import make_select_pareto_v1
from spacy_mtl.training.select_worst import make_select_worst_v1

START = {"step": 0, "epoch": 0}
DIFFERENCES = [
    {"head": "intent", "system": "joint", "split": "dev", "baseline_scores": [0.8, 0.9, None]},
    {"head": "slots", "system": "joint", "split": "dev", "baseline_scores": [0.5, 0.5, 0.5]},
    {"head": "intent", "system": "joint", "split": "test", "baseline_scores": [0.7]},
    {"head": "slots", "system": "intent+slots", "split": "dev", "baseline_scores": [0.1]},
]


def write_report(path, differences):
    path.write_text(json.dumps({"differences": differences}), encoding="utf8")
    return str(path)


def start(callback, nlp=None):
    """RETURNS: the selections of the pipeline's last component with heads."""
    nlp = nlp or make_nlp()
    callback(nlp, START)
    return [pipe.selections for _, pipe in nlp.pipeline][-1]


def test_the_worst_head_by_hand():
    worst = start(make_select_worst_v1({"intent": 0.8, "multitask/slots": 0.5}))["multitask_worst"]
    assert worst({"multitask/intent": 0.4, "multitask/slots": 0.3}, {}) == pytest.approx(0.5)
    assert worst({"multitask/intent": 0.88, "multitask/slots": 0.6}, {}) == pytest.approx(1.1)
    assert worst({"multitask/slots": 0.3}, {}) == pytest.approx(0.6)
    assert worst({}, {}) is None


def test_heads_without_target_do_not_count():
    worst = start(make_select_worst_v1({"intent": 0.8}))["multitask_worst"]
    assert worst({"multitask/intent": 0.4, "multitask/slots": 0.01}, {}) == pytest.approx(0.5)


def test_targets_are_the_single_task_scores_of_a_comparison(tmp_path):
    report = write_report(tmp_path / "report.json", DIFFERENCES)
    worst = start(make_select_worst_v1(report=report))["multitask_worst"]
    assert worst.targets == pytest.approx({"multitask/intent": 0.85, "multitask/slots": 0.5})
    with pytest.raises(
        ValueError, match=r"report.json \(test\) has no single-task score above 0 of the heads \['slots'\]"
    ):
        start(make_select_worst_v1(report=report, split="test"))


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"differences": [{"head": "intent"}]}', '{"differences": 3}'])
def test_a_broken_report_is_refused(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ValueError, match=r"report .*report.json is no report.json of mtl compare"):
        make_select_worst_v1(report=str(tmp_path / "report.json"))


def test_a_missing_report_is_refused(tmp_path):
    with pytest.raises(ValueError, match="FileNotFoundError"):
        make_select_worst_v1(report=str(tmp_path / "report.json"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "set one of targets and report"),
        ({"targets": {"intent": 0.5}, "report": "x"}, "set one of targets and report"),
        ({"targets": {"intent": 0.0}}, r"above 0 and up to 1, but there is {'intent': 0.0}"),
        ({"targets": {"intent": 85.0}}, r"above 0 and up to 1, but there is {'intent': 85.0}"),
        ({"targets": {"intend": 0.8}}, r"targets names 'intend', but the heads that are trained are"),
    ],
)
def test_bad_targets_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        start(make_select_worst_v1(**settings))


def test_pareto_by_hand():
    pareto = start(make_select_pareto_v1(0.02))["multitask_pareto"]
    memory = {}
    found = [
        pareto({"a": a, "b": b}, memory)
        for a, b in [(0.5, 0.5), (0.7, 0.49), (0.9, 0.45), (0.68, 0.6), (0.67, 0.9), (0.7, 0.59)]
    ]
    # taken: 1, 2 (b loses 0.01 to its best), not 3 (b loses 0.05), 4 (a loses 0.02), not 5 (a loses 0.03), and 6
    assert found == pytest.approx([0.5, 0.595, 0.595 - 0.03, 0.64, 0.64 - 0.01, 0.645])
    assert memory["best"] == {"a": 0.7, "b": 0.6}


def test_small_losses_do_not_add_up():
    pareto = start(make_select_pareto_v1(0.02))["multitask_pareto"]
    memory = {}
    found = [pareto({"a": 0.5 + 0.1 * n, "b": 0.9 - 0.015 * n}, memory) for n in range(4)]
    assert [value == max(found[: place + 1]) for place, value in enumerate(found)] == [True, True, False, False]


@pytest.mark.parametrize("tolerance", [-0.1, 1.0, float("nan")])
def test_a_bad_tolerance_is_refused(tolerance):
    with pytest.raises(ValueError, match="tolerance is"):
        make_select_pareto_v1(tolerance)


def test_the_last_component_sees_the_heads_of_all():
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", name="first", config={"heads": heads_config(intent={"kind": "DocClassifier"})})
    nlp.add_pipe("multitask", name="second", config={"heads": heads_config(slots={"kind": "EntityRecognizer"})})
    nlp.initialize(lambda: make_examples(nlp))
    make_select_worst_v1({"intent": 0.5, "slots": 1.0})(nlp, START)
    assert nlp.get_pipe("first").selections == {}
    nlp.update(make_examples(nlp), sgd=nlp.create_optimizer())
    scores = nlp.evaluate(make_examples(nlp))
    assert scores["multitask_worst"] == min(scores["intent_acc"] / 0.5, scores["slots_f"])
    assert "multitask_worst" not in nlp.evaluate(make_examples(nlp))  # nothing was learned since


def test_nothing_that_is_trained_has_heads():
    nlp = make_nlp()
    nlp.config["training"]["frozen_components"] = ["multitask"]
    with pytest.raises(ValueError, match=r"multitask_pareto: none of the components that are trained.*has heads"):
        make_select_pareto_v1()(nlp, START)


def test_what_is_remembered_survives_a_resumed_training(tmp_path):
    nlp = make_nlp()
    make_select_pareto_v1()(nlp, START)
    optimizer = make_optimizer_v1(0.01, {})
    optimizer.bind(nlp)
    nlp.update(make_examples(nlp), sgd=False)
    nlp.get_pipe("multitask").finish_update(optimizer)
    optimizer.step_schedules()
    nlp.evaluate(make_examples(nlp))
    save_training(optimizer, nlp, tmp_path)
    resumed = make_nlp()
    load_training(make_optimizer_v1(0.01, {}), resumed, tmp_path)
    assert resumed.get_pipe("multitask").progress.memory == nlp.get_pipe("multitask").progress.memory
    assert set(nlp.get_pipe("multitask").progress.memory["multitask_pareto"]) == {"taken", "best"}


@pytest.mark.parametrize(
    ("score", "callback"),
    [
        ("multitask_worst", {"@callbacks": "spacy_mtl.SelectWorst.v1", "targets": {"slots": 0.9, "intent": 1.0}}),
        ("multitask_pareto", {"@callbacks": "spacy_mtl.SelectPareto.v1", "tolerance": 0.0}),
    ],
)
def test_spacy_selects_by_the_score(score, callback, tmp_path):
    weights = {"multitask_score": 0.0, "multitask_exact": 0.0, score: 1.0}
    settings = {"max_steps": 24, "eval_frequency": 4, "score_weights": weights}
    settings["logger"] = {"@loggers": "spacy_mtl.Logger.v1", "progress_bar": False, "path": str(tmp_path / "log")}
    paths = make_toy(tmp_path)
    with pytest.raises(ValueError, match=rf"weight for {score}, which only the callback {callback['@callbacks']}"):
        init_nlp(toy_config(paths, **settings).interpolate())
    config = toy_config(paths, JOINT, **settings, before_update=callback)
    train(init_nlp(config.interpolate()), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["score"] for line in lines] == pytest.approx([line["scores"][score] for line in lines])
    if score == "multitask_worst":
        for line in lines:
            scores = line["scores"]
            assert scores[score] == pytest.approx(min(scores["slots_f"] / 0.9, scores["intent_acc"]))
    else:
        taken = [
            line for place, line in enumerate(lines) if line["score"] == max(one["score"] for one in lines[: place + 1])
        ]
        for name in ("slots_f", "intent_acc"):
            values = [line["scores"][name] for line in taken]
            assert values == sorted(values)


def test_a_score_without_weight_is_logged(caplog):
    start(make_select_pareto_v1())
    assert "computes multitask_pareto, but [training.score_weights] has no weight for it" in caplog.text
