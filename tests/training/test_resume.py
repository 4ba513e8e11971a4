"""A training that is killed and resumed ends with the same weights as one that was not, with the configs' options."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spacy
import srsly
from balancing import WEIGHTING_SETTINGS, WEIGHTINGS, use
from numpy.testing import assert_array_equal
from spacy.tokens import Doc, DocBin
from spacy.util import load_config

from spacy_mtl.training.save_state import TRAINING
from spacy_mtl.training.state_folder import newest_state

CONFIGS = Path(__file__).parents[2] / "configs"
WORDS = ["play", "find", "some", "jazz", "blues", "rock", "the", "new", "old", "song"]
N_STEPS = 20
EVERY = 4
# Trains as `spacy train` does, and writes the weights; or dies after some steps.
CHILD = """
import json, os, signal, sys
import numpy, spacy
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from spacy_mtl.optimizers.parameters import find_parameters

config, out, kill_after = sys.argv[1], sys.argv[2], int(sys.argv[3])

@spacy.registry.loggers("tests.Kill.v1")
def make_kill():
    def setup(nlp, stdout, stderr):
        steps = iter(range(1, 1000))
        def log_step(info):
            if next(steps) == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)
        return log_step, lambda: None
    return setup

nlp = init_nlp(spacy.util.load_config(config))
train(nlp)
weights = {name: parameter.weights for name, parameter in find_parameters(nlp).items()}
counts = nlp.get_pipe("tok2vec").model.attrs["word_counts"].counts
heads = json.dumps(nlp.meta["spacy_mtl"]["heads"], sort_keys=True)
numpy.savez(out, **weights, heads=heads, counts=numpy.array(sorted(counts.items()), dtype="uint64"))
"""


def write_docs(path: Path) -> None:
    """Docs of rare and of frequent words, with classes and entities."""
    vocab, rng = spacy.blank("en").vocab, np.random.default_rng(0)
    docs = []
    for index in range(40):
        words = [*rng.choice(WORDS, size=4), f"artist{index % 13}", f"rare{index}"]
        doc = Doc(vocab, words=[str(word) for word in words])
        doc.cats = {"play": float(index % 2), "find": float(1 - index % 2)}
        label = ("ARTIST", "TITLE")[index % 2]
        doc.set_ents([spacy.tokens.Span(doc, 4, 5 + index % 2, label=label)], default="outside")
        docs.append(doc)
    DocBin(docs=docs).to_disk(path)


def write_config(name: str, folder: Path) -> Path:
    """A shipped config, made small, with a state."""
    config = load_config(CONFIGS / name)
    docs, state = str(folder / "docs.spacy"), str(folder / "state")
    config["paths"].update(train=docs, dev=docs)
    config["components"]["tok2vec"]["model"].update(width=16, depth=2, embed_size=100)
    adam = {key: value for key, value in config["training"]["optimizer"].items() if key != "@optimizers"}
    batcher = config["training"]["batcher"] | {"size": 40}
    config["training"].update(
        logger={"@loggers": "tests.Kill.v1"},
        max_steps=N_STEPS - 1,
        eval_frequency=3,
        optimizer=adam | {"@optimizers": "spacy_mtl.Optimizer.v1", "state": state},
        before_update={"@callbacks": "spacy_mtl.TrainingState.v1", "path": state, "every": EVERY, "resume": False},
        batcher={
            "@batchers": "spacy_mtl.resume_batches.v1",
            "path": state,
            "resume": False,
            "batcher": batcher,
        },
    )
    config.to_disk(folder / "config.cfg")
    return folder / "config.cfg"


def run(path: Path, *, resume: bool = False, kill_after: int = -1) -> dict[str, np.ndarray]:
    """Train in another process, from the start or from the state, to the end or until it kills itself."""
    config = load_config(path)
    if resume:
        state = newest_state(path.parent / "state")
        assert state is not None
        config["training"]["max_steps"] -= srsly.read_msgpack(state / TRAINING)["step"]
        before_update = config["training"]["before_update"]
        before_update.get("callbacks", {"b": before_update})["b"]["resume"] = True
        config["training"]["batcher"]["resume"] = True
    config.to_disk(path.with_name("run.cfg"))
    command = [sys.executable, "-c", CHILD, path.with_name("run.cfg"), path.with_name("out.npz"), str(kill_after)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == (0 if kill_after < 0 else -signal.SIGKILL), done.stderr
    return {} if kill_after > 0 else dict(np.load(path.with_name("out.npz")))


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize(
    ("name", "kills"), [("cpu.cfg", [6, 7]), pytest.param("accurate.cfg", [11], marks=pytest.mark.slow)]
)
def test_killed_and_resumed_is_the_same_as_not_stopped(name: str, kills: list[int], tmp_path: Path) -> None:
    """Its own order of docs, dropout, dropped rare words and swapped entities: all go on as they would have."""
    write_docs(tmp_path / "docs.spacy")
    config = write_config(name, tmp_path)
    straight = run(config)
    for number, kill_after in enumerate(kills):
        run(config, resume=number > 0, kill_after=kill_after)
    resumed = run(config, resume=True)
    assert straight.keys() == resumed.keys()
    for key in straight.keys() - {"heads"}:  # spaCy counts evaluations from the stop, so these are at other steps
        assert_array_equal(resumed[key], straight[key], err_msg=key)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_killed_and_resumed_with_each_weighting(weighting: str, tmp_path: Path) -> None:
    """With a shipped config: what a weighting has learned goes on beside dropped rare words and the order of docs."""
    write_docs(tmp_path / "docs.spacy")
    path = write_config("cpu.cfg", tmp_path)
    config = load_config(path)
    config["training"]["before_update"]["every"] = 6  # a multiple of eval_frequency, since Targets looks at dev scores
    config["components"]["multitask"]["weighting"] = use(weighting, **WEIGHTING_SETTINGS.get(weighting, {}))
    config.to_disk(path)
    straight = run(path)
    run(path, kill_after=7)
    resumed = run(path, resume=True)
    assert straight.keys() == resumed.keys()
    for key in straight.keys() - {"heads"}:
        assert_array_equal(resumed[key], straight[key], err_msg=key)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_and_resumed_with_patience_is_the_same_as_not_stopped(tmp_path: Path) -> None:
    """One head was done before the training was killed, the other one is done after it."""
    write_docs(tmp_path / "docs.spacy")
    path = write_config("cpu.cfg", tmp_path)
    config = load_config(path)
    state = config["training"]["before_update"] | {"every": 6}  # a multiple of eval_frequency
    patience = {"@callbacks": "spacy_mtl.HeadPatience.v1", "patience": {"intent": 3, "slots": 13},
                "freeze_when_done": {"slots": "head"}}  # fmt: skip
    config["training"]["before_update"] = {
        "@callbacks": "spacy_mtl.Callbacks.v1",
        "callbacks": {"a": patience, "b": state},
    }
    config.to_disk(path)
    straight = run(path)
    run(path, kill_after=14)
    resumed = run(path, resume=True)
    assert straight.keys() == resumed.keys()
    for key, values in straight.items():
        assert_array_equal(resumed[key], values, err_msg=key)
    heads = json.loads(str(straight["heads"]))["multitask"]
    assert heads["intent"]["done_at"] < 12 < heads["slots"]["done_at"]
