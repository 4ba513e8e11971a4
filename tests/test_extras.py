"""A packaged pipeline requires this package with the extras that its networks need."""

import subprocess
import sys
import zipfile

import pytest
import spacy
from pipelines import ENCODER, make_nlp
from spacy.cli.package import get_meta
from tiny_transformers import transformer_pipeline, write_bert

from spacy_mtl.extras import _version_range


def requirements(folder):
    """What `spacy package` writes as the requirements of a saved pipeline."""
    return get_meta(folder, {})["requirements"]


@pytest.mark.parametrize("listener", [False, True])
def test_a_transformer(tmp_path, listener):
    """In the component, or in a tok2vec pipe that it listens to."""
    pytest.importorskip("transformers")
    transformer_pipeline(write_bert(tmp_path / "bert"), listener=listener).to_disk(tmp_path / "model")
    expected = [f"spacy-mtl[transformers]{_version_range()}"]
    assert requirements(tmp_path / "model") == expected
    # once more from the meta that was saved
    spacy.load(tmp_path / "model").to_disk(tmp_path / "again")
    assert requirements(tmp_path / "again") == expected


def test_an_exported_pipeline(tmp_path):
    pytest.importorskip("onnxruntime")
    export = pytest.importorskip("spacy_mtl.onnx.export")
    nlp = make_nlp(model={"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER})
    nlp.meta["requirements"] = ["other-package>=1.0", "spacy-mtl>=0.0.1"]
    nlp.to_disk(tmp_path / "trained")
    export.export_pipeline(tmp_path / "trained", tmp_path / "model")
    assert requirements(tmp_path / "model") == ["other-package>=1.0", f"spacy-mtl[onnx]{_version_range()}"]


def test_no_extra(tmp_path):
    nlp = make_nlp(model={"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER})
    assert "requirements" not in nlp.meta
    nlp.to_disk(tmp_path / "model")
    assert requirements(tmp_path / "model") == [f"spacy-mtl{_version_range()}"]


@pytest.mark.slow
def test_the_wheel_names_the_extra(tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("build")
    transformer_pipeline(write_bert(tmp_path / "bert"), listener=False).to_disk(tmp_path / "model")
    command = [sys.executable, "-m", "spacy", "package", tmp_path / "model", tmp_path, "--build", "wheel"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*/dist/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        metadata = archive.read(name).decode()
    assert "Requires-Dist: spacy-mtl[transformers]" in metadata
    assert "Requires-Dist: spacy-mtl>" not in metadata
