"""nlp.pipe(n_process=2) in a process of its own, with torch's default number of threads."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import spacy
from pipelines import ENCODER, JOINT, make_examples
from thinc.api import fix_random_seed
from tiny_transformers import write_bert

pytest.importorskip("torch")

# far more than what the pipeline takes; a process that hangs stays until then
LIMIT = 180
# batches are large enough for each operation of torch to be worth several threads
SCRIPT = """
import sys
import spacy, torch
{setup}
torch.set_num_threads(max(2, torch.get_num_threads()))
nlp = spacy.load(sys.argv[1])
texts = ["play some jazz in berlin", "who is anna schmidt"] * 300
before = [doc.cats for doc in nlp.pipe(texts)] if sys.argv[2] == "used" else []
found = [doc.cats for doc in nlp.pipe(texts, n_process=2, batch_size=150)]
expected = before or [doc.cats for doc in nlp.pipe(texts)]
assert all(abs(a[key] - b[key]) < 1e-5 for a, b in zip(expected, found, strict=True) for key in a)
print("annotated", len(found))
"""
# any layer of torch, as a user wraps it
WRAPPED = """
import spacy, torch
from thinc.api import Model, PyTorchWrapper, chain, with_array

@spacy.registry.architectures("test.Wrapped.v1")
def make_wrapped(embed: Model, width: int) -> Model:
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(width, 512), torch.nn.GELU(), torch.nn.Linear(512, width))
    return chain(embed, with_array(PyTorchWrapper(layers)))
"""


def save(path: Path, encoder: dict[str, Any], *, width: int, listener: bool) -> None:
    fix_random_seed(0)
    nlp = spacy.blank("en")
    tok2vec = encoder
    if listener:
        nlp.add_pipe("tok2vec", config={"model": encoder})
        tok2vec = {"@architectures": "spacy_mtl.Tok2VecListener.v1", "width": width, "upstream": "*"}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": tok2vec}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    nlp.initialize(lambda: make_examples(nlp))
    nlp.to_disk(path)


def annotate(model: Path, state: str, setup: str = "") -> None:
    env = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, "-c", SCRIPT.format(setup=setup), str(model), state]
    done = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, start_new_session=True
    )
    try:
        output, errors = done.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        pytest.fail(f"nlp.pipe(n_process=2) hangs ({state})")
    finally:
        # a process that hangs has forked others, which hang too
        with suppress(ProcessLookupError):
            os.killpg(done.pid, signal.SIGKILL)
    assert output.strip() == "annotated 600", errors


@pytest.mark.parametrize(
    ("state", "listener"),
    [
        ("fresh", False),
        ("used", True),
        pytest.param("fresh", True, marks=pytest.mark.slow),
        pytest.param("used", False, marks=pytest.mark.slow),
    ],
)
def test_a_transformer(state: str, listener: bool, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    bert = write_bert(tmp_path / "bert", width=64)
    encoder = {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": bert}
    save(tmp_path / "model", encoder, width=64, listener=listener)
    annotate(tmp_path / "model", state)


@pytest.mark.parametrize("listener", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_any_layer_of_torch(listener: bool, tmp_path: Path) -> None:
    exec(WRAPPED, {})
    encoder = {"@architectures": "test.Wrapped.v1", "embed": ENCODER, "width": 32}
    save(tmp_path / "model", encoder, width=32, listener=listener)
    annotate(tmp_path / "model", "used", WRAPPED)
