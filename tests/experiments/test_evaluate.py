"""`python -m spacy mtl evaluate`, on a real pipeline and real files."""

import pytest
import spacy
import srsly
from multi import write
from pipelines import make_examples, make_nlp, train
from spacy.cli._util import app
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)
from spacy_mtl.experiments.evaluate import corpus_names, evaluate


@pytest.fixture
def model(tmp_path):
    nlp = make_nlp()
    train(nlp, make_examples(nlp), steps=60)
    nlp.to_disk(tmp_path / "model")
    return tmp_path / "model"


def corpus(path, nlp, **kinds):
    return write(path, [eg.reference for eg in make_examples(nlp, **kinds)])


def test_a_row_for_each_head_and_corpus(model, tmp_path):
    nlp = spacy.load(model)
    both = corpus(tmp_path / "a" / "test.spacy", nlp)
    only_cats = corpus(tmp_path / "b" / "test.spacy", nlp, ents=False)
    scores = tmp_path / "scores.json"
    command = ["mtl", "evaluate", str(model), str(both), str(only_cats), "--output", str(scores)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    rows = [line.split()[:4] for line in result.output.splitlines() if line.startswith(("a/test", "b/test"))]
    assert [row[:3] for row in rows] == [
        ["a/test", "intent", "4"],
        ["a/test", "slots", "4"],
        ["a/test", "all", "heads"],
        ["b/test", "intent", "4"],
        ["b/test", "all", "heads"],
    ]
    assert "acc 100.0" in result.output
    assert "multitask_exact 100.0" in result.output
    assert srsly.read_json(scores)["a/test"]["intent_acc"] == 1.0
    assert srsly.read_json(scores)["b/test"]["slots_f"] is None


def test_cats_of_docs_of_one_word_count(tmp_path):
    nlp = make_nlp()
    doc = nlp.make_doc("play")
    doc.cats = {"play": 1.0, "ask": 0.0}
    path = write(tmp_path / "one.spacy", [doc])
    assert evaluate(nlp, [path]).scores["one"]["intent_acc"] is not None


def test_what_can_not_be_evaluated_is_named(model, tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    empty = write(tmp_path / "empty.spacy", [])
    for args, text in (([tmp_path / "blank", empty], "no component multitask"), ([model, empty], "empty.spacy")):
        result = CliRunner().invoke(app, ["mtl", "evaluate", *map(str, args)])
        assert result.exit_code == 1
        assert text in " ".join(result.output.split())


def test_corpora_are_named_by_what_tells_them_apart(tmp_path):
    assert corpus_names([tmp_path / "dev.spacy", tmp_path / "test.spacy"]) == ["dev", "test"]
    assert corpus_names([tmp_path / "a" / "test.spacy", tmp_path / "b" / "test.spacy"]) == ["a/test", "b/test"]
