"""The examples in README.md and CONTRIBUTING.md run, and README.md stays short."""

import re
import textwrap
from pathlib import Path

import pytest
from spacy.util import fix_random_seed, load_config_from_str, load_model_from_config

from spacy_mtl.protocols.weighting import Step, Weighting

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
CONFIGS = [code for language, code in BLOCKS if language == "ini"]


def test_length() -> None:
    assert len(README.splitlines()) <= 120


def test_set_up_commands_are_named() -> None:
    assert "`make demo`" in README
    assert "`make test`" in README


def test_every_block_is_of_a_known_kind() -> None:
    assert PYTHON
    assert CONFIGS
    assert {language for language, _ in BLOCKS} <= {"python", "ini", "bash"}


@pytest.mark.parametrize("code", PYTHON)
def test_python_runs(code: str) -> None:
    scope: dict[str, object] = {}
    fix_random_seed(0)
    exec(compile(code, "README.md", "exec"), scope)
    doc, losses = scope["doc"], scope["losses"]
    assert max(doc.cats, key=doc.cats.get) == "music"
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("blues", "GENRE")]
    assert set(losses) == {"multitask", "multitask/textcat", "multitask/ner"}


@pytest.mark.parametrize("text", CONFIGS)
def test_config_resolves(text: str) -> None:
    nlp = load_model_from_config(load_config_from_str(text), auto_fill=True)
    assert nlp.pipe_names == ["tok2vec", "multitask"]
    assert nlp.config["training"]["score_weights"]["multitask_score"] == 1.0
    assert set(nlp.get_pipe("multitask").heads) == {"intent", "slots"}


def test_weighting_of_the_recipe() -> None:
    code = re.findall(r"```python\n(.*?)```", CONTRIBUTING, flags=re.DOTALL)[0]
    scope: dict[str, object] = {}
    exec(compile(textwrap.dedent(code), "CONTRIBUTING.md", "exec"), scope)
    weighting = scope["make_mean_v1"]()
    assert isinstance(weighting, Weighting)
    assert weighting.weights({"a": 3.0, "b": 1.0}, Step(0)) == {"a": 0.5, "b": 0.5}
