"""`mtl init-config` on the command line, and spaCy's own commands on what it writes."""

import pytest
import spacy
from pipelines import make_examples
from spacy.cli import app
from spacy.tokens import DocBin
from spacy.util import load_config, load_config_from_str
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds the command)

HEADS = ["--head", "intent:textcat", "--head", "slots:ner:condition_on=intent"]


def run(*args):
    return CliRunner().invoke(app, list(map(str, args)))


def init_config(*args):
    return run("mtl", "init-config", *args)


@pytest.fixture
def files(tmp_path):
    """Train and dev with intents and slots."""
    docs = [eg.reference for eg in make_examples(spacy.blank("en"))] * 5
    (tmp_path / "data").mkdir()
    for split in ("train", "dev"):
        DocBin(docs=docs).to_disk(tmp_path / "data" / f"{split}.spacy")
    return tmp_path / "data" / "train.spacy", tmp_path / "data" / "dev.spacy"


def test_spacys_commands_have_nothing_to_add(files, tmp_path):
    config = tmp_path / "new" / "config.cfg"
    result = init_config(config, "--from-data", *files)
    assert result.exit_code == 0, result.output
    filled = run("init", "fill-config", config, tmp_path / "filled.cfg", "--diff")
    assert "Nothing to auto-fill: base config is already complete" in filled.output
    assert "No diff to show" in filled.output
    assert load_config(config, interpolate=False) == load_config(tmp_path / "filled.cfg", interpolate=False)
    checked = run("debug", "config", config)
    assert checked.exit_code == 0, checked.output
    assert "Config is valid" in checked.output
    audited = run("mtl", "debug-data", config)
    assert audited.exit_code == 0, audited.output


def test_the_table_says_what_was_found_and_why(files, tmp_path):
    printed = init_config(tmp_path / "config.cfg", "--from-data", *files).output
    rows = [line.split() for line in printed.splitlines()]
    assert ["textcat", "textcat", "2", "20", "20"] in [row[:5] for row in rows]
    assert ["ner", "ner", "3", "20", "20"] in [row[:5] for row in rows]
    assert "each of 20 docs has exactly one of 2 classes" in printed
    assert "training.max_steps" in printed


def test_stdout_has_the_config_and_nothing_else():
    result = init_config(*HEADS)
    assert result.exit_code == 0
    assert result.stdout.startswith("# python -m spacy mtl init-config - --lang en --head intent:textcat")
    assert list(load_config_from_str(result.stdout)["components"]["multitask"]["heads"]) == ["intent", "slots"]


def test_warnings_do_not_go_to_stdout(files, tmp_path):
    plain = [spacy.blank("en")("a b") for _ in range(3)]
    for doc in plain:
        doc.set_ents([], default="outside")
    DocBin(docs=plain).to_disk(files[1])
    result = init_config("-", "--from-data", *files)
    assert "head 'textcat': dev (" in result.stderr
    assert result.stdout.startswith("# python")
    printed = init_config(tmp_path / "config.cfg", "--from-data", *files).stdout
    assert "head 'textcat': dev" in " ".join(printed.split())


def test_an_existing_file_is_kept(tmp_path):
    config = tmp_path / "config.cfg"
    config.write_text("mine")
    result = init_config(config, *HEADS)
    assert result.exit_code == 1
    assert "--force overwrites it" in " ".join(result.output.split())
    assert config.read_text() == "mine"
    assert init_config(config, *HEADS, "--force").exit_code == 0
    assert "--force" not in config.read_text()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "there are no heads; name them with --head NAME:KIND"),
        (["--head", "x:unknown"], "there is no kind 'unknown'; choose from"),
        (["--head", "x:ner:condition_on=y"], "condition_on names 'y', but the heads are ['x']"),
        (["--head", "x:pos", "--set", "training.dropout=high"], "dropout"),
        (["--head", "x:pos:attr=colour"], "attr"),
    ],
)
def test_nothing_is_written_if_something_is_wrong(args, message, tmp_path):
    result = init_config(tmp_path / "config.cfg", *args)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "config.cfg").exists()


def test_another_package_adds_a_function_by_a_file(tmp_path):
    code = tmp_path / "code.py"
    code.write_text(
        "from spacy.util import registry\nimport spacy_mtl\n"
        "from spacy_mtl.heads.presets.preset import Preset\n"
        "registry.mtl_head_presets.register('stars', func=Preset('spacy_mtl.Regressor.v1', 'stars', 'docs', "
        "{'attribute': 'stars'}))\n"
    )
    result = init_config("-", "--code", code, "--head", "mood:stars")
    assert result.exit_code == 0, result.output
    assert f"--code {code}" in result.stdout.partition("# What")[0]
    head = load_config_from_str(result.stdout)["components"]["multitask"]["heads"]["mood"]
    assert (head["@mtl_heads"], head["attribute"]) == ("spacy_mtl.Regressor.v1", "stars")
