"""`python -m spacy mtl calibrate`: what it writes, and what it refuses."""

import pytest
import spacy
from pipelines import JOINT, make_examples, make_nlp, train
from spacy.cli import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)
from spacy_mtl.protocols.head_calibration import calibration_of


def run(*args):
    result = CliRunner().invoke(app, ["mtl", "calibrate", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def failure(*args):
    code, output = run(*args)
    assert code == 1, output
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("calibrate")
    nlp = make_nlp(JOINT)
    train(nlp, make_examples(nlp), steps=8)
    nlp.to_disk(path / "model")
    docs = [eg.reference for _ in range(8) for eg in make_examples(nlp)]
    DocBin(docs=docs).to_disk(path / "dev.spacy")
    DocBin(docs=docs[:6]).to_disk(path / "few.spacy")
    DocBin().to_disk(path / "none.spacy")
    DocBin(docs=[nlp.make_doc("play")] * 4).to_disk(path / "bare.spacy")
    spacy.blank("en").to_disk(path / "plain")
    return path


def calibrations_in(path):
    heads = spacy.load(path).get_pipe("multitask").heads
    return {key: dict(calibration_of(head.model)) for key, head in heads.items()}


def test_it_writes_a_calibrated_pipeline(folder, tmp_path):
    out = tmp_path / "out"
    code, output = run(folder / "model", folder / "dev.spacy", "-o", out, "--coverage", 0.8, "--scores")
    assert code == 0, output
    assert all(text in output for text in ("intent", "slots", "temperature", "ECE", "coverage", "answered", "Saved"))
    kept = calibrations_in(out)
    assert all({"temperatures", "measures", "sets"} <= own.keys() for own in kept.values())
    doc = spacy.load(out)("play Anna")
    assert doc._.mtl_sets.keys() == {"intent", "slots"}
    assert all(ent._.score for ent in doc.ents)
    assert spacy.load(out).meta["spacy_mtl"]["calibration"]["multitask"].keys() == {"intent", "slots"}
    assert not any(calibrations_in(folder / "model").values())


def test_overwrite_changes_the_pipeline_itself(folder, tmp_path):
    spacy.load(folder / "model").to_disk(tmp_path / "model")
    code, output = run(tmp_path / "model", folder / "dev.spacy", "--overwrite", "--held-out", folder / "dev.spacy")
    assert code == 0, output
    kept = calibrations_in(tmp_path / "model")
    assert all(own["n_fit"] == own["n_held_out"] == 32 for own in kept.values())
    assert not any("sets" in own for own in kept.values())


def test_the_seed_decides_the_split(folder, tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 5)):
        assert run(folder / "model", folder / "dev.spacy", "-o", tmp_path / name, "--seed", seed)[0] == 0
    one, two, three = (calibrations_in(tmp_path / name)["slots"] for name in ("one", "two", "three"))
    assert one == two
    assert one["measures"] != three["measures"]


def test_what_is_refused(folder, tmp_path):
    model, dev, out = folder / "model", folder / "dev.spacy", tmp_path / "out"
    assert "either --output FOLDER, or --overwrite" in failure(model, dev)
    assert "either --output FOLDER, or --overwrite" in failure(model, dev, "-o", out, "--overwrite")
    assert "needs the folder of a pipeline" in failure("no_such_package", dev, "--overwrite")
    assert "--force" in failure(model, dev, "-o", model)
    assert "it has no docs" in failure(model, folder / "none.spacy", "-o", out)
    assert "0 components with heads" in failure(folder / "plain", dev, "-o", out)
    assert "coverage is 1.5; it must be above 0 and below 1" in failure(model, dev, "-o", out, "--coverage", 1.5)
    assert "method is 'other'" in failure(model, dev, "-o", out, "--sets", "other")
    few = failure(model, folder / "few.spacy", "-o", out, "--coverage", 0.9)
    assert "head 'intent': 3 docs are too few for a coverage of 0.9, which needs 9" in few
    bare = failure(model, folder / "bare.spacy", "-o", out)
    assert "no head can be calibrated" in bare
    assert "head 'slots': 0 docs have its gold (doc.ents)" in bare
    assert not out.exists()
