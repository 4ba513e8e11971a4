"""The configs in configs/ are what the command in their first lines writes."""

import shlex
from pathlib import Path

import pytest
from spacy.cli import app
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds the command)
from spacy_mtl.config_writer.request import COMMAND

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.cfg"))
MARKS = {"transformer.cfg": pytest.mark.spacy_transformers}


def command_of(text: str) -> list[str]:
    """The words of the command in the first lines of a config."""
    command = ""
    for line in text.splitlines():
        command += line.removeprefix("#").strip()
        if not command.endswith("\\"):
            break
        command = command[:-1]
    assert command.startswith(COMMAND)
    return shlex.split(command)[3:]


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name, marks=MARKS.get(path.name, ())) for path in CONFIGS])
def test_a_shipped_config_is_written_by_the_command_in_its_first_lines(path, tmp_path, monkeypatch):
    if path.name.startswith("transformer"):
        pytest.importorskip("spacy_transformers" if path.name in MARKS else "transformers")
    text = path.read_text(encoding="utf8")
    arguments = command_of(text)
    assert arguments[2] == f"configs/{path.name}"
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "configs" / path.name).read_text(encoding="utf8") == text
    assert max(map(len, text.splitlines())) <= 120


def test_all_configs_are_tested():
    assert len(CONFIGS) > 10
