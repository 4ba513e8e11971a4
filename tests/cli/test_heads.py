"""`python -m spacy mtl heads` and `extract`: what they write, and what they refuse."""

import pytest
import spacy
from pipelines import JOINT, TEXTS, make_examples, make_nlp, train
from spacy.cli import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)

HEAD = """
[head]
@mtl_heads = "spacy_mtl.Tagger.v1"
attr = "pos"
"""


def run(*args):
    result = CliRunner().invoke(app, ["mtl", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    nlp = make_nlp(JOINT)
    train(nlp, make_examples(nlp), steps=5)
    path = tmp_path_factory.mktemp("models") / "model"
    nlp.to_disk(path)
    return path


def heads_in(path):
    return spacy.load(path).get_pipe("multitask").heads


def cats_by(path):
    return [doc.cats for doc in spacy.load(path).pipe(text for text, *_ in TEXTS)]


def test_list_shows_each_head(model):
    code, output = run("heads", "list", model)
    assert code == 0
    assert all(text in output for text in ("intent DocClassifier ask, play", "slots EntityRecognizer", "main score"))


def test_a_head_is_extracted(model, tmp_path):
    code, output = run("extract", model, "--head", "intent", "--output", tmp_path / "small")
    assert (code, "Dropped: head slots" in output) == (0, True)
    assert list(heads_in(tmp_path / "small")) == ["intent"]
    assert cats_by(tmp_path / "small") == cats_by(model)


def test_a_head_is_renamed_and_another_removed(model, tmp_path):
    assert run("heads", "rename", model, "intent", "command", "--output", tmp_path / "renamed")[0] == 0
    assert run("heads", "remove", tmp_path / "renamed", "slots", "--output", tmp_path / "smaller")[0] == 0
    assert list(heads_in(tmp_path / "smaller")) == ["command"]
    assert cats_by(tmp_path / "smaller") == cats_by(model)


def test_a_head_is_added_from_a_config_and_its_gold(model, tmp_path):
    (tmp_path / "head.cfg").write_text(HEAD)
    docs = [eg.reference for eg in make_examples(spacy.blank("en"))]
    for doc in docs:
        for token in doc:
            token.pos_ = "NOUN"
    DocBin(docs=docs).to_disk(tmp_path / "train.spacy")
    data = ["--config", tmp_path / "head.cfg", "--data", tmp_path / "train.spacy"]
    code, output = run("heads", "add", model, "pos", *data, "--output", tmp_path / "larger")
    assert code == 0, output
    assert heads_in(tmp_path / "larger")["pos"].labels == ("NOUN",)
    assert cats_by(tmp_path / "larger") == cats_by(model)


def test_two_pipelines_are_merged(model, tmp_path):
    for name, attr in (("pos", "pos"), ("tag", "tag")):
        (tmp_path / "head.cfg").write_text(HEAD.replace('"pos"', f'"{attr}"'))
        label = ["--config", tmp_path / "head.cfg", "--label", "NOUN"]
        assert run("heads", "add", model, name, *label, "--output", tmp_path / name)[0] == 0
    code, output = run("merge", tmp_path / "pos", tmp_path / "tag", "--output", tmp_path / "both")
    assert (code, list(heads_in(tmp_path / "both"))) == (0, ["intent", "slots", "pos", "tag"]), output
    assert cats_by(tmp_path / "both") == cats_by(model)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["merge", "MODEL", "nowhere"], "nowhere"),
        (["merge", "MODEL", "MODEL", "--head", "x"], "no head 'x'"),
        (["heads", "remove", "MODEL", "x"], "no head 'x'"),
        (["heads", "rename", "MODEL", "intent", "slots"], "there is a head 'slots' already"),
        (["heads", "remove", "nowhere", "slots"], "nowhere"),
        (["extract", "MODEL", "--head", "slot"], "there is no head 'slot'"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(model, tmp_path, args, message):
    code, output = run(*(model if arg == "MODEL" else arg for arg in args), "--output", tmp_path / "out")
    assert (code, message in output) == (1, True), output
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_in_use_stays(model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for force in ([], ["--force"]):
        assert run("heads", "remove", model, "slots", "--output", tmp_path, *force)[0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
