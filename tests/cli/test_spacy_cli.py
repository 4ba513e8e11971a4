"""spaCy's own commands work on the component: configs, labels, training, evaluation, packaging."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from pipelines import make_examples
from spacy.cli import app
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
NEEDS_SPACY_TRANSFORMERS = {"transformer.cfg": pytest.mark.spacy_transformers}
CONFIGS = [
    pytest.param(path, id=path.name, marks=NEEDS_SPACY_TRANSFORMERS.get(path.name, ()))
    for path in sorted((ROOT / "configs").glob("*.cfg"))
]


def run(*arguments, **settings):
    """Run a spaCy command. RETURNS: its output; a failure fails the test with it."""
    command = [sys.executable, "-m", "spacy", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, **settings)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A corpus with intents and slots, for configs/cpu.cfg."""
    path = tmp_path_factory.mktemp("corpus") / "intents.spacy"
    DocBin(docs=[eg.reference for eg in make_examples(spacy.blank("en"))] * 5).to_disk(path)
    return path


@pytest.fixture(scope="module")
def treebank(tmp_path_factory):
    """A corpus with tags, lemmas, trees, entities and genres, for configs/tagging.cfg and configs/ud.cfg."""
    path = tmp_path_factory.mktemp("corpus") / "treebank.spacy"
    nlp = spacy.blank("en")
    docs = []
    for eg in make_examples(nlp):
        doc = eg.reference
        n = len(doc)
        full = Doc(
            nlp.vocab,
            words=[t.text for t in doc],
            tags=["X"] * n,
            pos=["NOUN"] * n,
            morphs=["Case=Nom"] * n,
            lemmas=[t.text for t in doc],
            heads=[0] * n,
            deps=["ROOT"] + ["dep"] * (n - 1),
        )
        full.set_ents([spacy.tokens.Span(full, ent.start, ent.end, ent.label_) for ent in doc.ents])
        full.cats = {f"genre={key}": value for key, value in doc.cats.items()}
        docs.append(full)
    DocBin(docs=docs * 5).to_disk(path)
    return path


def paths(corpus):
    return "--paths.train", corpus, "--paths.dev", corpus


def body(path):
    """A config without its comments."""
    return "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#")).strip()


def run_here(*args):
    """Run a command of spaCy in this process, which has what it imports already."""
    result = CliRunner().invoke(app, list(map(str, args)))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("config", CONFIGS)
def test_configs_are_complete_and_valid(config, corpus, treebank, tmp_path):
    if config.name.startswith("transformer"):
        pytest.importorskip("spacy_transformers" if config.name in NEEDS_SPACY_TRANSFORMERS else "transformers")
    run_here("init", "fill-config", config, tmp_path / "filled.cfg")
    assert body(tmp_path / "filled.cfg") == body(config)
    data = treebank if config.name in ("tagging.cfg", "ud.cfg") else corpus
    assert "Config is valid" in run_here("debug", "config", config, *paths(data))
    settings = spacy.util.load_config(config)
    assert sum(settings["training"]["score_weights"].values()) == pytest.approx(1.0)


@pytest.fixture(scope="module")
def model(corpus, tmp_path_factory):
    """A pipeline trained by `spacy train` from configs/cpu.cfg, and what the command printed."""
    output = tmp_path_factory.mktemp("trained")
    settings = ["--training.max_epochs", 20, "--training.eval_frequency", 20]
    printed = run("train", ROOT / "configs" / "cpu.cfg", "--output", output, *paths(corpus), *settings)
    assert re.search(r"intent +slots .*\n.* acc +f ", printed)
    return output / "model-best"


def test_init_labels_and_debug_data(corpus, tmp_path):
    config = ROOT / "configs" / "cpu.cfg"
    run("init", "labels", config, tmp_path, *paths(corpus))
    labels = json.loads((tmp_path / "multitask.json").read_text())
    assert labels["slots"] == ["GENRE", "LOC", "PER"]
    command = [sys.executable, "-m", "spacy", "debug", "data", str(config), *map(str, paths(corpus))]
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "Pipeline can be initialized with data" in printed
    assert "Summary" in printed


def test_evaluate_shows_spacys_usual_rows(model, corpus, tmp_path):
    printed = run("evaluate", model, corpus, "--output", tmp_path / "metrics.json")
    assert "NER F" in printed
    assert "TEXTCAT" in printed
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert {"slots_f", "slots_f_per_type", "intent_acc", "multitask_exact", "ents_f", "cats_score"} <= set(metrics)


def test_head_names_resolve_without_importing_the_package():
    code = (
        "import spacy\nspacy.blank('en')\n"
        "made = spacy.registry.resolve({'h': {'@mtl_heads': 'spacy_mtl.Tagger.v1'}})['h']\nprint(made.attr)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "tag\n"


@pytest.mark.slow
def test_a_packaged_pipeline_predicts_the_same_in_a_fresh_environment(model, tmp_path):
    run("package", model, tmp_path, "--name", "joint", "--build", "wheel")
    (wheel,) = tmp_path.glob("*/dist/*.whl")
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".venv", ".git", "training", "build", "dist"))
    install = [python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*install, str(source)], check=True)
    subprocess.run([*install, "--no-deps", str(wheel)], check=True)
    text = "play some jazz in Berlin"
    code = (
        f"import json, spacy; doc = spacy.load('en_joint')({text!r}); "
        "print(json.dumps([doc.cats, [(e.text, e.label_) for e in doc.ents]]))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    printed = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout
    doc = spacy.load(model)(text)
    cats, ents = json.loads(printed)
    assert cats == pytest.approx(doc.cats)
    assert ents == [[ent.text, ent.label_] for ent in doc.ents]


def test_importing_the_package_is_enough_for_the_registries():
    code = "import spacy_mtl, spacy; assert spacy.registry.mtl_heads.get('spacy_mtl.Tagger.v1')"
    subprocess.run([sys.executable, "-c", code], check=True)
