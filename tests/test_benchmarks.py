"""The parts of the benchmarks that compute something: ratios, and the guard that compares them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def alternate(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import alternate

    return alternate


def test_ratios_are_of_runs_side_by_side(alternate):
    rows = alternate.compare({"slow": [4.0, 8.0, 2.0], "fast": [1.0, 4.0, 1.0]}, 100, base="slow")
    assert rows["slow"]["ratio"] == {"median": 1.0, "least": 1.0, "greatest": 1.0}
    assert rows["fast"] == {"words_per_second": 100.0, "ratio": {"median": 2.0, "least": 2.0, "greatest": 4.0}}


def test_runs_take_turns_and_preparation_is_not_timed(alternate):
    order = []

    def prepare(name):
        order.append(f"prepare {name}")
        return lambda: order.append(name)

    seconds = alternate.in_turn({name: lambda name=name: prepare(name) for name in "ab"}, rounds=2)
    assert order == ["prepare a", "a", "prepare b", "b"] * 3
    assert {name: len(times) for name, times in seconds.items()} == {"a": 2, "b": 2}


@pytest.mark.parametrize(("now", "code"), [(7.9, 1), (8.1, 0), (12.0, 0), (None, 1)])
def test_guard(tmp_path, now, code):
    def write(name, ratio):
        rows = {} if ratio is None else {"ours": {"words_per_second": 1.0, "ratio": {"median": ratio}}}
        path = tmp_path / name
        path.write_text(json.dumps({"machine": {}, "results": {"2 threads": {"train": rows}}}))
        return path

    command = [sys.executable, BENCHMARKS / "guard.py", write("kept", 10.0), write("new", now)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == code, result.stderr
    assert ("slower: /results/2 threads/train/ours" in result.stdout) == bool(code)
