"""The parts of the benchmarks that compute something: ratios, and the guard that compares them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from multi import write
from pipelines import make_examples, make_nlp
from toy import make_docs

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


@pytest.fixture
def co_training(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import co_training

    return co_training


def test_a_share_keeps_its_labels_and_the_rest_is_raw(co_training, tmp_path):
    docs = [doc for doc in make_docs(60, 0) if doc.ents]
    write(tmp_path / "train.spacy", docs)
    drawn = [co_training.split(tmp_path, tmp_path / name, share=0.25, seed=seed) for name, seed in (("a", 1), ("b", 2))]
    gold, raw = (co_training.read_docs(path, limit=None) for path in drawn[0])
    assert len(gold) == round(0.25 * len(docs))
    assert all(doc.ents and doc.cats for doc in gold)
    assert not any(doc.has_annotation("ENT_IOB") or doc.cats for doc in raw)
    assert sorted(doc.text for doc in gold + raw) == sorted(doc.text for doc in docs)
    assert [doc.text for doc in gold] != [doc.text for doc in co_training.read_docs(drawn[1][0], limit=None)]


def test_labels_are_compared_with_what_was_dropped(co_training, tmp_path):
    nlp = make_nlp()
    nlp.to_disk(tmp_path / "model")
    gold = [eg.reference for eg in make_examples(nlp)]
    write(tmp_path / "train.spacy", gold)
    labelled = [eg.reference for eg in make_examples(nlp)]
    labelled[0].cats = {"play": 0.0, "ask": 1.0}
    labelled[1] = make_examples(nlp, cats=False)[1].reference
    labelled[2].ents = []
    path = write(tmp_path / "pseudo.spacy", labelled)
    found = co_training.precision(tmp_path / "model", path, tmp_path)
    assert found == pytest.approx({"intent": 100 * 2 / 3, "slots": 100 * 3 / 4})
