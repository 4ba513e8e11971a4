"""Loading a model directory with a malicious pickle fails, and none of its code runs."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import spacy
import srsly
from pipelines import make_nlp
from tiny_transformers import transformer_pipeline, write_bert

from spacy_mtl.optimizers.grouped import make_optimizer_v1
from spacy_mtl.training.state import load_state

torch = pytest.importorskip("torch")


class Touch:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "code has run"


def save(value: Any, *, zipped: bool) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def bad_weights(marker: Path) -> dict[str, bytes]:
    touch = Touch(marker)
    return {
        "zip": save({"no_piece": touch}, zipped=True),
        "legacy": save({"no_piece": touch}, zipped=False),
        "pickle": pickle.dumps(touch),
    }


def test_the_files_would_run_their_code(marker: Path) -> None:
    for kind, weights in bad_weights(marker).items():
        if kind == "pickle":
            pickle.loads(weights)
        else:
            torch.load(io.BytesIO(weights), weights_only=False)
        assert marker.exists()
        marker.rmdir()


def poison(path: Path, weights: bytes) -> None:
    """Put these weights in place of the transformer's in a saved network."""
    network = srsly.read_msgpack(path)
    for shims in network["shims"]:
        for i, shim in enumerate(shims):
            shims[i] = srsly.msgpack_dumps(srsly.msgpack_loads(shim) | {"weights": weights})
    srsly.write_msgpack(path, network)


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("listener", [False, True])
def test_a_transformer(kind: str, listener: bool, marker: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    nlp = transformer_pipeline(write_bert(tmp_path / "bert"), listener=listener)
    nlp.to_disk(tmp_path / "model")
    file = tmp_path / "model" / ("tok2vec/model" if listener else "multitask/encoder")
    poison(file, bad_weights(marker)[kind])
    with pytest.raises(ValueError, match=r"weights hold something other than tensors.*Do not trust this pipeline"):
        spacy.load(tmp_path / "model")
    assert not marker.exists()


def test_bytes_of_a_wrapped_layer_of_torch(marker: Path) -> None:
    from thinc.api import PyTorchWrapper

    for weights in bad_weights(marker).values():
        layer = PyTorchWrapper(torch.nn.Linear(2, 2))
        shim = layer.shims[0]
        message = srsly.msgpack_dumps({"config": {}, "state": weights})
        with pytest.raises(pickle.UnpicklingError, match=r"[Ww]eights.only"):
            shim.from_bytes(message)
        assert not marker.exists()


def test_the_state_of_a_training(marker: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(pickle.dumps(Touch(marker)))
    nlp = make_nlp()
    with pytest.raises(ValueError, match="can't load the state"):
        load_state(make_optimizer_v1(0.001), nlp, tmp_path / "state")
    assert not marker.exists()


def test_code_that_a_config_names_is_left_out() -> None:
    pytest.importorskip("transformers")
    from spacy_mtl.encoders.transformer.shim import read_config

    text = '{"model_type": "bert", "attn_implementation": "someone/kernel", "_attn_implementation": "someone/kernel"}'
    assert read_config(text) == {"model_type": "bert"}
