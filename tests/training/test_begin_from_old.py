"""`spacy train` of a new task on a trained pipeline: kept heads, replayed docs, a frozen encoder, and what was lost."""

import io
import os
import subprocess
import sys
from copy import deepcopy

import pytest
import spacy
import srsly
from numpy.testing import assert_array_equal
from pipelines import LISTENER, heads_config, make_nlp, train, weights_of
from spacy.cli.package import package
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as spacy_train
from spacy.util import load_config
from thinc.api import Config
from toy import ENCODER, make_docs

from spacy_mtl.training.save_state import TRAINING
from spacy_mtl.training.state_folder import newest_state

OLD = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})
NEW = heads_config(pos={"kind": "Tagger", "attr": "pos"})


def write(path, docs):
    DocBin(docs=docs).to_disk(path)
    return str(path)


def with_pos(docs, *, old=False):
    """The docs with parts of speech, and with their old gold if asked for."""
    made = []
    for doc in docs:
        copied = doc.copy() if old else Doc(doc.vocab, words=[token.text for token in doc])
        for token in copied:
            token.pos_ = "PROPN" if token.is_title else "NOUN"
        made.append(copied)
    return made


@pytest.fixture(scope="module", params=[False, True], ids=["own", "listener"])
def data(request, tmp_path_factory):
    """A trained pipeline with the old heads, the corpora, and whether it has a listener."""
    folder = tmp_path_factory.mktemp("data")
    docs, dev = make_docs(40, 0), make_docs(30, 1)
    nlp = make_nlp(OLD, listener=request.param, tok2vec=ENCODER, examples=lambda nlp: examples(nlp, docs))
    train(nlp, examples(nlp, docs), steps=25)
    nlp.to_disk(folder / "old")
    return {
        "listener": request.param,
        "old": str(folder / "old"),
        "replay": write(folder / "replay.spacy", docs),
        "train": write(folder / "train.spacy", with_pos(make_docs(30, 2))),
        "dev": write(folder / "dev.spacy", with_pos(dev, old=True)),
    }


def examples(nlp, docs):
    return [Example(Doc(nlp.vocab, words=[token.text for token in doc]), doc) for doc in docs]


def config_of(data, *, sharing=None, **initialize):
    """A training config of the new head, which begins from the old pipeline. Its corpus has no gold of the old heads:
    they have their labels from there.
    """
    nlp = spacy.blank("en")
    if data["listener"]:
        nlp.add_pipe("tok2vec", config={"model": ENCODER})
    tok2vec = LISTENER if data["listener"] else ENCODER
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": tok2vec, "sharing": sharing}
    nlp.add_pipe("multitask", config={"model": model, "heads": deepcopy(OLD | NEW)})
    config = nlp.config.copy()
    readers = {name: {"@readers": "spacy_mtl.Corpus.v1", "path": data[name]} for name in ("train", "dev")}
    config["corpora"] = readers
    config["initialize"]["components"]["multitask"] = {"init_from": data["old"], **initialize}
    config["training"].update(max_steps=12, eval_frequency=6, max_epochs=-1, seed=0, dropout=0.0)
    config["training"]["optimizer"]["learn_rate"] = 0.01
    config["training"]["logger"] = {"@loggers": "spacy_mtl.Logger.v1", "progress_bar": False}
    return Config(config)


def run(config, out):
    """Train in this process. RETURNS: the last model, and what was printed."""
    stdout = io.StringIO()
    out.mkdir(exist_ok=True)
    spacy_train(init_nlp(config), out, stdout=stdout, stderr=io.StringIO())
    return spacy.load(out / "model-last"), stdout.getvalue()


def cats_of(nlp, data):
    docs = DocBin().from_disk(data["dev"]).get_docs(nlp.vocab)
    return [doc.cats for doc in nlp.pipe(Doc(nlp.vocab, words=[token.text for token in doc]) for doc in docs)]


def test_it_says_what_each_old_head_has_lost(data, tmp_path):
    nlp, printed = run(config_of(data, keep={"intent": 1.0}), tmp_path)
    lost = nlp.meta["spacy_mtl"]["old_heads"]["multitask"]
    old = spacy.load(data["old"])
    dev = list(DocBin().from_disk(data["dev"]).get_docs(old.vocab))
    before = old.evaluate(examples(old, dev))
    assert list(lost) == ["intent", "slots"]
    for head, metric in (("intent", "acc"), ("slots", "f")):
        assert lost[head]["metric"] == metric
        assert lost[head]["before"] == pytest.approx(before[f"{head}_{metric}"])
        assert lost[head]["after"] == pytest.approx(nlp.evaluate(examples(nlp, dev))[f"{head}_{metric}"], abs=1e-6)
    rows = [line.split() for line in printed.partition("old head")[2].splitlines()]
    assert [row[:2] for row in rows if len(row) == 5 and row[0] in OLD] == [["intent", "acc"], ["slots", "f"]]
    assert "keep" in printed


def test_a_frozen_encoder_with_adapters_leaves_the_old_heads_as_they_are(data, tmp_path):
    """Only the new head and its adapter move; the predictions of the old heads stay the same to the last bit."""
    config = config_of(data, sharing={"@mtl_sharing": "spacy_mtl.Adapters.v1", "by": "head"})
    if data["listener"]:
        config["components"]["tok2vec"] = {"source": data["old"]}
        config["training"]["frozen_components"] = config["training"]["annotating_components"] = ["tok2vec"]
    else:
        group = {"pattern": r"^multitask/(?!(intent|slots|pos)/|adapters)", "frozen": True}
        config["training"]["optimizer"] = {
            "@optimizers": "spacy_mtl.Optimizer.v1",
            "learn_rate": 0.01,
            "groups": {"encoder": group},
            "state": str(tmp_path / "state"),
        }
        state = {"@callbacks": "spacy_mtl.TrainingState.v1", "path": str(tmp_path / "state"), "every": 0}
        config["training"]["before_update"] = state
    nlp, _ = run(config, tmp_path)
    old = spacy.load(data["old"])
    assert cats_of(nlp, data) == cats_of(old, data)
    for head in OLD:
        found, expected = (weights_of(one.get_pipe("multitask").heads[head]) for one in (nlp, old))
        for key, value in expected.items():
            assert_array_equal(found[key], value)
    adapters = nlp.get_pipe("multitask").encoder.get_ref("sharing")
    moved = {
        name.split("/")[0] for name in adapters.param_names if name.endswith("up_W") and adapters.get_param(name).any()
    }
    assert moved == {"pos"}


def test_heads_of_weight_zero_stay_even_if_docs_have_their_gold(data, tmp_path):
    config = config_of(data | {"train": data["dev"]})
    config["components"]["multitask"]["weighting"]["weights"] = {"intent": 0.0, "slots": 0.0}
    nlp, _ = run(config, tmp_path)
    old = spacy.load(data["old"])
    for head in OLD:
        found, expected = (weights_of(one.get_pipe("multitask").heads[head]) for one in (nlp, old))
        for key, value in expected.items():
            assert_array_equal(found[key], value)


def test_a_stated_share_of_old_docs_is_replayed(data, tmp_path):
    """With `Uniform` the weights of the corpora are their shares."""
    config = config_of(data)
    sections = {
        "new": {"reader": config["corpora"]["train"], "weight": 0.8},
        "old": {"reader": {"@readers": "spacy_mtl.Corpus.v1", "path": data["replay"]}, "weight": 0.2},
    }
    sampler = {"@mtl_samplers": "spacy_mtl.Uniform.v1"}
    config["corpora"]["train"] = {"@readers": "spacy_mtl.MultiCorpus.v1", "corpora": sections, "sampler": sampler}
    config["training"]["max_steps"] = 30
    nlp, _ = run(config, tmp_path)
    drawn = nlp.meta["spacy_mtl"]["mix"]
    share, n = drawn["old"] / sum(drawn.values()), sum(drawn.values())
    assert abs(share - 0.2) < 4 * (0.2 * 0.8 / n) ** 0.5, drawn


@pytest.mark.slow
def test_a_killed_training_keeps_on_where_it_stopped(data, tmp_path):
    """In processes of their own, the second one resumed: the same weights as without a stop."""
    models = []
    for stop in (None, 8):
        out = tmp_path / str(stop)
        config = config_of(data, keep={"intent": 2.0, "slots": 2.0})
        state = str(out / "state")
        config["training"]["optimizer"] = {
            "@optimizers": "spacy_mtl.Optimizer.v1",
            "learn_rate": 0.01,
            "state": state,
        }
        config["training"]["before_update"] = {"@callbacks": "spacy_mtl.TrainingState.v1", "path": state, "every": 4}
        batcher = config["training"]["batcher"]
        config["training"]["batcher"] = {"@batchers": "spacy_mtl.resume_batches.v1", "path": state, "batcher": batcher}
        out.mkdir()
        config.to_disk(out / "config.cfg")
        if stop is not None:
            spacy_cli(out, "--training.max_steps", str(stop))
            done = srsly.read_msgpack(newest_state(out / "state") / TRAINING)["step"]
            spacy_cli(out, "--training.max_steps", str(12 - done), "--training.before_update.resume", "true",
                      "--training.batcher.resume", "true")  # fmt: skip
        else:
            spacy_cli(out)
        models.append(spacy.load(out / "model-last"))
    straight, resumed = (weights_of(nlp.get_pipe("multitask")) for nlp in models)
    for key, value in straight.items():
        assert_array_equal(resumed[key], value)


def spacy_cli(out, *overrides):
    command = [sys.executable, "-m", "spacy", "train", str(out / "config.cfg"), "--output", str(out), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_packaged_pipeline_predicts_the_same(data, tmp_path):
    nlp, _ = run(config_of(data, keep={"intent": 1.0}), tmp_path / "out")
    (tmp_path / "package").mkdir()
    package(tmp_path / "out" / "model-last", tmp_path / "package", name="kept", version="1.0", create_wheel=False,
            create_sdist=False, silent=True)  # fmt: skip
    (folder,) = [path.parent for path in (tmp_path / "package").rglob("config.cfg")]
    assert cats_of(spacy.load(folder), data) == cats_of(nlp, data)
    assert load_config(folder / "config.cfg")["initialize"]["components"]["multitask"]["keep"] == {"intent": 1.0}
