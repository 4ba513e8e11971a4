"""Where an optional package is missing, spacy.load says what to install."""

import subprocess
import sys
from pathlib import Path

import pytest
from pipelines import ENCODER, make_nlp
from tiny_transformers import transformer_pipeline, write_bert

# Packages that can't be imported, as if they were not installed. Those that need them are not installed either: spaCy
# would stop at their entry points.
BLOCK = """
import sys
from importlib.abc import MetaPathFinder
class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from importlib.metadata import EntryPoints, distributions
import catalogue
points = [point for dist in distributions() for point in dist.entry_points if "_transformers" not in point.value]
catalogue.AVAILABLE_ENTRY_POINTS = EntryPoints(points)
"""
LOAD = "import sys, spacy; print(spacy.load(sys.argv[1])('play some jazz').cats)"
EXPORT = "from spacy_mtl.onnx.export import export_pipeline"


def run(script: str, *missing: str, model: Path) -> str:
    command = [sys.executable, "-c", BLOCK.format(missing=missing) + script, str(model)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("missing", ["torch", "transformers", "tokenizers"])
def test_a_transformer(missing: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    transformer_pipeline(write_bert(tmp_path / "bert"), listener=True).to_disk(tmp_path / "model")
    message = run(LOAD, missing, model=tmp_path / "model")
    assert message.startswith("ImportError: TransformerEncoder: it needs torch and transformers")
    assert missing in message
    assert message.endswith("pip install 'spacy-mtl[transformers]'")


def test_an_exported_pipeline(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from spacy_mtl.onnx.export import export_encoders

    nlp = make_nlp(model={"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER})
    export_encoders(nlp)
    nlp.to_disk(tmp_path / "model")
    message = run("import sys, spacy; spacy.load(sys.argv[1])", "onnxruntime", model=tmp_path / "model")
    assert message.startswith("ImportError: OnnxEncoder: it needs onnxruntime")
    assert message.endswith("pip install 'spacy-mtl[onnx]'")


def test_the_export(tmp_path: Path) -> None:
    message = run(EXPORT, "onnx", model=tmp_path)
    assert message.endswith("pip install 'spacy-mtl[onnx]'")


ALL_WEIGHTINGS = """
sys.path.append(sys.argv[1])
from balancing import TWO, make_cnn, make_examples, use
from spacy.util import registry
settings = {"Targets": {"targets": {"intent": 0.9}}}
names = [name.split(".")[1] for name in registry.mtl_weightings.get_all() if name.startswith("spacy_mtl.")]
for name in names:
    nlp = make_cnn(use(name, **settings.get(name, {})))
    for _ in range(2):
        nlp.update(make_examples(nlp), sgd=nlp.create_optimizer())
sys.exit("all of them" if len(names) > 15 else "too few")
"""


def test_weightings_need_no_extra() -> None:
    helpers = Path(__file__).parent / "helpers"
    assert run("import spacy_mtl\n" + ALL_WEIGHTINGS, "torch", "transformers", "cvxpy", model=helpers) == "all of them"
