"""project.yml is valid, its checksums and its documentation are current, and its workflows run."""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import spacy
import typer
from spacy.cli import app
from weasel.util import load_project_config

import spacy_mtl.cli  # noqa: F401  (adds `spacy mtl`)

ROOT = Path(__file__).parents[1]
PROJECT = load_project_config(ROOT)
SNIPS = "2017-06-custom-intent-engines"


def run_spacy(*args: str | Path, cwd: Path) -> str:
    """Run a spaCy command in another process. RETURNS: what it printed."""
    command = [sys.executable, "-m", "spacy", *map(str, args)]
    env = {**os.environ, "NO_COLOR": "1", "PIP_NO_INPUT": "1"}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands_by_name() -> dict[str, dict[str, object]]:
    return {command["name"]: command for command in PROJECT["commands"]}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project without what workflows make."""
    ignore = shutil.ignore_patterns("snips", "__pycache__")
    shutil.copy(ROOT / "project.yml", tmp_path)
    for name in ("assets", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    return tmp_path


@pytest.mark.parametrize("command", PROJECT["commands"], ids=lambda command: command["name"])
def test_command_is_complete(command: dict[str, list[str]]) -> None:
    assert command["help"]
    assert command.get("outputs") or command.get("no_skip") or command["name"] == "debug"
    assert command.get("deps") or command["name"].endswith("download")
    for line in command["script"]:
        assert "${" not in line
        python, first, *words = shlex.split(line)
        assert python == "python"
        if first == "-m":
            check_options(words[1:])
        else:
            assert first in command.get("deps", []) or (ROOT / first).exists()


def check_options(words: list[str]) -> None:
    """Every option is one of the spaCy command, or overrides a config value."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"no command {name!r}"
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    given = {word for word in words if word.startswith("--") and "." not in word}
    assert given <= known


def test_workflows_make_what_they_need() -> None:
    commands = commands_by_name()
    for steps in PROJECT["workflows"].values():
        made: set[str] = set()
        for step in steps:
            for dep in commands[step].get("deps", []):
                assert dep in made or (ROOT / dep).exists(), f"{step} needs {dep}, which no step before makes"
            made.update(commands[step].get("outputs", []))


def test_checksums_are_those_of_the_files(data_dir: Path) -> None:
    folder = data_dir / "raw" / "snips"
    if not folder.is_dir():
        pytest.skip(f"no SNIPS json files: {folder} does not exist")
    found = {}
    for asset in PROJECT["assets"]:
        path = Path(asset["dest"]).relative_to("assets/snips")
        assert asset["url"] == f"{PROJECT['vars']['snips_url']}/{path.relative_to(SNIPS).as_posix()}"
        found[asset["dest"]] = hashlib.md5((folder / path).read_bytes()).hexdigest()
    assert found == {asset["dest"]: asset["checksum"] for asset in PROJECT["assets"]}
    assert len(found) == 14


def test_documentation_is_current(tmp_path: Path) -> None:
    run_spacy("project", "document", ROOT, "--no-emoji", "--output", tmp_path / "project.md", cwd=tmp_path)
    expected = (tmp_path / "project.md").read_text(encoding="utf8").replace("(project.yml)", "(../project.yml)")
    assert (ROOT / "docs" / "project.md").read_text(encoding="utf8") == expected, "run make docs"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workflow", "language", "text"), [("all", "en", "play some jazz"), ("zh", "zh", "播放周杰伦的歌")]
)
def test_workflow_on_made_data(project: Path, workflow: str, language: str, text: str) -> None:
    options = ["--vars.max_steps", "8", "--vars.zh_max_steps", "8", "--vars.eval_frequency", "4"]
    printed = run_spacy("project", "run", workflow, project, *options, cwd=project)
    assert "Skipping" not in printed
    assert "exact match" in printed
    nlp = spacy.load(next(project.glob("training/*/model-best")))
    assert nlp.lang == language
    assert nlp(text).cats.keys() == set(nlp.get_pipe("multitask").label_data["intent"])
    assert len(list(project.glob("packages/*/dist/*.whl"))) == (workflow == "all")

    printed = run_spacy("project", "run", workflow, project, *options, cwd=project)
    for step in PROJECT["workflows"][workflow]:
        always = commands_by_name()[step].get("no_skip", False)
        assert (f"Skipping '{step}': nothing changed" in printed) != always


@pytest.mark.slow
def test_workflow_corpora(project: Path) -> None:
    options = ["--vars.corpora_max_steps", "8", "--vars.eval_frequency", "4"]
    printed = run_spacy("project", "run", "corpora", project, *options, cwd=project)
    assert "No problems found" in printed
    heads = {"intents": "intent_acc", "slots": "slots_f", "topics": "topic_acc"}
    for corpus, score in heads.items():
        metrics = json.loads((project / "metrics" / f"three_{corpus}.json").read_text(encoding="utf8"))
        assert metrics["test"][score] is not None
    nlp = spacy.load(project / "training" / "three" / "model-best")
    assert set(nlp.meta["spacy_mtl"]["mix"]) == set(heads)


@pytest.mark.slow
def test_workflow_relations(project: Path) -> None:
    """It ends with the path of a page, even if it runs again."""
    options = ["--vars.relations_max_steps", "150", "--vars.eval_frequency", "150"]
    for _ in range(2):
        printed = run_spacy("project", "run", "relations", project, *options, cwd=project)
        page = project / printed.split()[-1]
        assert page.suffix == ".html"
        assert "Knowledge graph" in page.read_text(encoding="utf8")
    scores = json.loads((project / "metrics" / "relations.json").read_text(encoding="utf8"))["test"]
    assert scores["relations_f"] > 0.1
    pipe: Any = spacy.load(project / "training" / "relations" / "model-best").get_pipe("multitask")
    assert pipe.heads["relations"].symmetric == ("married_to",)


@pytest.mark.slow
def test_workflow_snips(project: Path, data_dir: Path) -> None:
    """The real workflow, with the download's files put where it would put them."""
    folder = data_dir / "raw" / "snips"
    if not folder.is_dir():
        pytest.skip(f"no SNIPS json files: {folder} does not exist")
    for asset in PROJECT["assets"]:
        (project / asset["dest"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / Path(asset["dest"]).relative_to("assets/snips"), project / asset["dest"])
    options = ["--vars.snips_max_steps", "400", "--vars.snips_eval_frequency", "200"]
    printed = run_spacy("project", "run", "snips", project, *options, cwd=project)
    assert printed.count("Skipping download with matching checksum") == len(PROJECT["assets"])
    scores = json.loads((project / "metrics" / "snips.json").read_text(encoding="utf8"))["test"]
    assert scores["intent_acc"] > 0.9
    assert scores["slots_f"] > 0.6
