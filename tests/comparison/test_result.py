"""`report.json`: what was written is read back, the same bytes for the same result, and a broken file is named."""

import json
from dataclasses import replace

import pytest

from spacy_mtl.comparison.result import (
    Comparison,
    Cost,
    Difference,
    Failure,
    HeadSummary,
    Interval,
    RunSummary,
    read_comparison,
    write_comparison,
)


def make_difference(**changes):
    difference = Difference(
        head="intent",
        system="joint",
        baseline="intent alone",
        split="test",
        metric="intent_acc",
        scores=[0.91, 0.92, 0.93],
        baseline_scores=[0.9, 0.9, None],
        difference=0.02,
        low=-0.01,
        high=0.05,
        p=0.04,
        p_corrected=0.08,
        detectable=0.03,
        verdict="no difference shown",
        reason="",
        support=700,
    )
    return replace(difference, **changes)


def make_comparison(**changes):
    run = RunSummary(
        name="joint-seed0-0123456789ab",
        system="joint",
        heads=["intent", "slots"],
        seed=0,
        folder="runs/joint-seed0-0123456789ab",
        status="finished",
        message="",
        scores={"dev": {"intent_acc": 0.9, "speed": 12345.6, "slots_f_per_type": {"é": {"f": 1 / 3}}}, "test": {}},
        cost={
            "parameters": 1000,
            "bytes": 4000,
            "train_seconds": 6.5,
            "train_words": 5000,
            "steps": 200,
            "best_step": 80,
        },
    )
    comparison = Comparison(
        title="cpu.cfg",
        config="cpu.cfg",
        lang="en",
        heads=[HeadSummary("slots", "spacy_mtl.EntityRecognizer.v1", "slots_f", ["intent"], 13084, 700, 700)],
        corpora={"train": {"slots": 13084}},
        budget={"unit": "steps", "steps": 200},
        seeds=[0, 1, 2],
        method="a test",
        alpha=0.05,
        differences=[make_difference()],
        relative_improvement={"test": Interval(0.01, -0.02, 0.04)},
        costs=[Cost("joint", 1000, 4000, 6.5, 9999.5, 1e9)],
        runs=[run],
        failures=[Failure("slots alone-seed1-0123456789ab", "out of memory")],
        versions={"spacy": "3.8.0"},
        date="2026-01-31",
    )
    return replace(comparison, **changes)


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "report.json"
    write_comparison(make_comparison(), path)
    assert read_comparison(path).to_json() == path.read_text(encoding="utf8")
    found = read_comparison(path)
    assert found.runs[0].scores["dev"]["slots_f_per_type"]["é"] == {"f": 0.333333}
    assert replace(found, runs=[]) == replace(make_comparison(), runs=[])


def test_all_that_differs_from_run_to_run_is_measured():
    cost, run = make_comparison().costs[0], make_comparison().runs[0]
    scores = {**run.scores, "dev": {**run.scores["dev"], "speed": 7.0}}
    later = make_comparison(
        date="2027-12-31",
        costs=[replace(cost, train_seconds=99.0, words_per_second=1.0, memory_bytes=2e9)],
        runs=[replace(run, scores=scores, cost={**run.cost, "train_seconds": 9})],
    )
    one, other = (json.loads(comparison.to_json()) for comparison in (make_comparison(), later))
    assert one.pop("measured") != other.pop("measured")
    assert one == other
    assert "speed" not in json.dumps(one)
    assert "seconds" not in json.dumps(one)


def test_numbers_without_a_value_are_null_and_keys_are_sorted():
    text = make_comparison(differences=[make_difference(p=float("nan"), low=-1e-9, detectable=float("inf"))]).to_json()
    (difference,) = json.loads(text)["differences"]
    assert difference["p"] is None
    assert difference["detectable"] is None
    assert '"low": 0.0' in text
    assert list(json.loads(text)) == sorted(json.loads(text))


def broken(**changes):
    return json.dumps({**json.loads(make_comparison().to_json()), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no JSON"),
        (make_comparison().to_json()[:-20], "no JSON"),
        ("[]", "format is 'list', expected 1"),
        (broken(format=2), "format is 2, expected 1; read it with the version"),
        (broken(alpha="0.05"), "alpha is '0.05', expected a number"),
        (broken(seeds=[0, "1"]), r"seeds\[1\] is '1', expected int"),
        (broken(spare=1), "unknown fields \\['spare'\\]"),
        (broken(measured={}), "'costs'"),
        (broken(differences=[{}]), r"differences\[0\] lacks \['baseline'"),
        (broken(differences=[vars(make_difference(verdict="won"))]), r"differences\[0\]\.verdict is 'won'"),
    ],
)
def test_a_broken_file_is_named_with_the_fix(text, message, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(text, encoding="utf8")
    with pytest.raises(ValueError, match=message) as error:
        read_comparison(path)
    assert str(path) in str(error.value)
    assert "again" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="no complete result of mtl compare"):
        read_comparison(tmp_path / "report.json")
