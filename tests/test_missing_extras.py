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
