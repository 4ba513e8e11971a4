"""`python -m spacy mtl explain`: the table, JSON and the page, and what it refuses."""

import json
import re

import pytest
from pipelines import ENCODER, JOINT, make_examples, make_nlp, train
from spacy.cli import app
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)
from spacy_mtl.heads.entity_recognizer import EntityRecognizer

TEXT = "play some jazz in Berlin"


def run(*args):
    result = CliRunner().invoke(app, ["mtl", "explain", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    nlp = make_nlp(JOINT, tok2vec=ENCODER | {"@architectures": "spacy_mtl.HashEmbedCNN.v1"})
    train(nlp, make_examples(nlp), steps=30)
    path = tmp_path_factory.mktemp("models") / "model"
    nlp.to_disk(path)
    return path


def test_all_heads_stand_side_by_side(model):
    code, output = run(model, TEXT)
    assert code == 0
    assert re.search(r"^intent: play  log-odds \+.*integrated_gradients, \d+ passes$", output, re.MULTILINE)
    assert re.search(r"^token +intent: play +slots: GENRE\[2:3\]$", output, re.MULTILINE)
    rows = [line for line in output.splitlines() if line.split(" ")[0] in TEXT.split()]
    assert len(rows) == 5
    assert all(len(row.split()) == 3 for row in rows)
    assert rows[2].endswith("*")


def test_json_has_all_targets_of_a_head(model):
    code, output = run(model, TEXT, "--head", "slots", "--method", "occlusion", "--json")
    found = json.loads(output)
    assert code == 0
    assert [one["target"] for one in found] == ["GENRE[2:3]", "LOC[4:5]"]
    assert found[0]["tokens"] == TEXT.split()
    assert len(found[0]["scores"]) == 5
    code, output = run(model, TEXT, "--head", "slots", "--method", "occlusion", "--json", "--limit", 1)
    assert len(json.loads(output)) == 1


def test_the_page_needs_no_network(model, tmp_path):
    path = tmp_path / "explained.html"
    code, output = run(model, "play <b>jazz</b> & more", "--output", path)
    page = path.read_text(encoding="utf8")
    assert code == 0
    assert "Wrote the page" in output
    assert page.count("<figure") == len(re.findall("<figcaption", page)) >= 1
    assert "&lt;" in page
    assert "<b>" not in page
    assert not re.search(r"(src|href)=\"https?:", page)
    assert "prefers-color-scheme: dark" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--head", "mood"], "there is no head 'mood' to explain"),
        (["--method", "magic"], "method is 'magic', expected one of"),
        (["--head", "intent", "--target", "sing"], "head 'intent': there is no target 'sing'"),
        (["--target", "play"], "a target belongs to a head"),
        (["--head", "slots", "--method", "attention"], "it does not pool by attention"),
        (["--component", "other"], "there is no component 'other' with heads"),
    ],
)
def test_what_is_refused_is_named(model, options, message):
    code, output = run(model, TEXT, *options)
    assert code == 1
    assert message in " ".join(output.split())


def test_a_fault_of_a_head_is_not_hidden(model, monkeypatch):
    """Its trace says where it is, as that of a question would not."""

    def fail(*args):
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr(EntityRecognizer, "find_target", fail)
    result = CliRunner().invoke(app, ["mtl", "explain", str(model), TEXT, "--head", "slots", "--target", "PER[0:1]"])
    assert isinstance(result.exception, ValueError)
    assert "broadcast" in str(result.exception)


def test_a_file_that_is_no_report_stays(model, tmp_path):
    path = tmp_path / "letter.html"
    path.write_text("Dear")
    code, output = run(model, TEXT, "--output", path)
    assert code == 1
    assert "is no report of spacy-mtl" in " ".join(output.split())
    assert path.read_text() == "Dear"
