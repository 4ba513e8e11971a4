"""`python -m spacy mtl serve`: what it says if it can't start, and that the other commands do not load its packages."""

import subprocess
import sys

import pytest
from pipelines import JOINT, make_nlp
from spacy.cli import app
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)


def run(*args):
    result = CliRunner().invoke(app, ["mtl", "serve", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def test_a_pipeline_that_is_not_there():
    code, output = run("nothing/model-best")
    assert code == 1
    assert "Can't find model 'nothing/model-best'" in output


def test_limits_that_do_not_fit():
    code, output = run("model", "--max-texts", 10, "--max-queue", 5)
    assert code == 1
    assert "a request may have 10 texts, but only 5 texts may wait" in output


def test_the_same_pipeline_twice(tmp_path):
    make_nlp(JOINT).to_disk(tmp_path / "model")
    code, output = run(tmp_path / "model", tmp_path / "model")
    assert code == 1
    assert "name two different ones" in output


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_a_missing_package_is_named(missing):
    script = (
        "import sys; from typer.testing import CliRunner; from spacy.cli import app; import spacy_mtl.cli\n"
        f"sys.modules[{missing!r}] = None\n"
        "result = CliRunner().invoke(app, ['mtl', 'serve', 'model'])\n"
        "print(result.exit_code, ' '.join(result.output.split()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1 ")
    assert "fastapi and uvicorn are needed" in done.stdout
    assert "pip install 'spacy-mtl[serve]'" in done.stdout


def test_commands_do_not_load_fastapi():
    script = "import sys, spacy_mtl.cli; print(sorted({'fastapi', 'uvicorn', 'starlette'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
