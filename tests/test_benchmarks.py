"""The parts of the benchmarks that compute something: ratios, and the guard that compares them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin

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
def cross_domain(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import cross_domain

    return cross_domain


@pytest.fixture
def genres(tmp_path):
    """A treebank of three genres, 10 docs each in training."""
    nlp = spacy.blank("en")
    for split, size in (("train", 30), ("dev", 6), ("test", 6)):
        docs = []
        for number in range(size):
            doc = Doc(nlp.vocab, words=["Anna", "reads"], pos=["PROPN", "VERB"], ents=["B-PER", "O"])
            doc.cats = {f"genre={name}": float(place == number % 3) for place, name in enumerate(("a", "b", "c"))}
            docs.append(doc)
        DocBin(docs=docs).to_disk(tmp_path / f"{split}.spacy")
    return tmp_path


def test_cross_domain_methods_see_as_many_labelled_words_and_no_label_of_the_target(cross_domain, genres, tmp_path):
    folder = tmp_path / "domains"
    assert cross_domain.write_domains("ewt", genres, folder) == ["a", "b", "c"]
    for method, settings in cross_domain.METHODS.items():
        config = cross_domain.make_config(cross_domain.Run("ewt", "b", method, 3, 60), ["a", "b", "c"], folder)
        corpora = config["corpora"]["train"]["corpora"]
        assert list(corpora) == (["a", "c", "b"] if settings.unlabelled else ["a", "c"])
        assert corpora.get("b", {"heads": ["domain"]})["heads"] == ["domain"]
        assert config["training"]["batcher"]["size"] == (750 if settings.unlabelled else 500)
        weights = config["training"]["score_weights"]
        assert sum(weights.values()) == pytest.approx(1.0)
        assert not weights["b/pos_acc"]
        assert ("domain" in config["components"]["multitask"]["heads"]) == (settings.max_lambda is not None)


def test_cross_domain_scores_and_table(cross_domain):
    assert cross_domain.micro_f([{1, 2}, {3}], [{1}, {4, 5}]) == pytest.approx(2 / 6)
    rows = [
        {"target": target, "method": "plain", "f": value, "sources_f": 50.0}
        for target, value in (("a", 10.0), ("a", 20.0), ("b", 30.0))
    ]
    lines = cross_domain.table(rows, ("f",)).splitlines()
    assert lines[2:] == [
        "| plain | a | 2 | 15.00 ± 7.07 | 50.00 ± 0.00 |",
        "| plain | b | 1 | 30.00 ± 0.00 | 50.00 ± 0.00 |",
        "| plain | mean | 3 | 20.00 | 50.00 |",
    ]


def test_cross_domain_does_not_run_again_what_is_finished(cross_domain, genres, tmp_path):
    output = tmp_path / "output"
    command = [sys.executable, BENCHMARKS / "cross_domain.py", "ewt", "--data", genres, "--output", output]
    command += ["--seeds", 0, "--steps", 2, "--genres", "b", "--methods", "adversary"]
    printed = []
    for _ in range(2):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        printed.append(done.stdout)
    (file,) = output.glob("runs-*.jsonl")
    assert len(file.read_text().splitlines()) == 1
    assert printed[0].startswith("{")
    assert printed[1] == printed[0].split("\n", 1)[1]
    assert "| adversary | b | 1 |" in printed[1]
