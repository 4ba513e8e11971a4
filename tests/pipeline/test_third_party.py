"""A head with labels, a head without, a weighting, a sampler and a sharing layer of another package: they are found
through its entry points alone, and every tool works with them. The package lies in tests/third_party.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from multi import write
from spacy.tokens import Doc
from thinc.api import Config
from toy import ENCODER

THIRD_PARTY = Path(__file__).parents[1] / "third_party"
MODEL = {
    "@architectures": "spacy_mtl.SharedEncoder.v1",
    "tok2vec": ENCODER,
    "sharing": {"@mtl_sharing": "acme.Scale.v1"},
}
HEADS = {"topic": {"@mtl_heads": "acme.Topic.v1"}, "length": {"@mtl_heads": "acme.Length.v1"}}


def python(*args):
    """Run a new process that finds the package, as if it were installed."""
    path = os.pathsep.join([str(THIRD_PARTY), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, *map(str, args)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def docs(prefix, *, n=24):
    vocab = spacy.blank("xx").vocab
    result = []
    for number in range(n):
        topic = ("food", "sport")[number % 2]
        doc = Doc(vocab, words=[f"{topic}{number % 3}", "is", "good"])
        doc.cats = {f"{prefix}{name}": float(name == topic) for name in ("food", "sport")}
        result.append(doc)
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("third_party")
    write(folder / "new.spacy", docs("topic:"))
    write(folder / "old.spacy", docs("old-"))
    write(folder / "dev.spacy", docs("topic:", n=8))
    (folder / "raw.txt").write_text("\n".join(f"{name}{i} is good" for i in range(3) for name in ("food", "sport")))
    nlp = spacy.blank("xx")
    config = nlp.config.copy()
    config["nlp"]["pipeline"] = ["multitask"]
    config["components"] = {
        "multitask": {
            "factory": "multitask",
            "model": MODEL,
            "heads": HEADS,
            "weighting": {"@mtl_weightings": "acme.Mean.v1"},
        }
    }

    def reader(name):
        return {"@readers": "spacy_mtl.Corpus.v1", "path": str(folder / f"{name}.spacy")}

    renamed = {"old-food": "topic:food", "old-sport": "topic:sport"}
    corpora = {"new": {"reader": reader("new")}, "old": {"reader": reader("old"), "label_map": renamed}}
    sampler = {"@mtl_samplers": "acme.Smallest.v1"}
    config["corpora"] = {
        "train": {"@readers": "spacy_mtl.MultiCorpus.v1", "corpora": corpora, "sampler": sampler},
        "dev": reader("dev"),
    }
    config["training"].update({"max_epochs": -1, "max_steps": 30, "eval_frequency": 15})
    config["training"]["optimizer"]["learn_rate"] = 0.01
    Config(config).to_disk(folder / "config.cfg")
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    python("-m", "spacy", "train", folder / "config.cfg", "--output", folder / "out")
    return folder / "out" / "model-last"


def test_it_trains_and_predicts_the_same_after_loading(folder, trained):
    code = (
        "import sys, json, spacy; nlp = spacy.load(sys.argv[1]); pipe = nlp.get_pipe('multitask');"
        "text = 'sport1 is good'; doc = nlp(text); again = spacy.load(sys.argv[1])(text);"
        "other = spacy.load(sys.argv[1]); other.get_pipe('multitask').from_bytes(pipe.to_bytes());"
        "print(json.dumps([doc.cats, again.cats == doc.cats == other(text).cats, doc.user_data['acme.length'],"
        "pipe.label_data, pipe.weighting.n_merged, nlp.meta['performance']['multitask_score']]))"
    )
    cats, same, length, labels, n_merged, score = json.loads(python("-c", code, trained))
    assert same
    assert cats["topic:sport"] > 0.5
    assert isinstance(length, float)
    # The second corpus has its labels by the label map alone; a head without labels has none here.
    assert labels == {"topic": ["food", "sport"]}
    assert n_merged >= 30
    assert score > 0.75


def test_debug_data_counts_what_the_heads_count(folder):
    result = json.loads(python("-m", "spacy", "mtl", "debug-data", folder / "config.cfg", "--json"))
    assert "error" not in {finding["level"] for finding in result["findings"]}
    counts = {part["corpus"]: part["heads"] for part in result["corpora"]}
    assert (
        counts["new"]["topic"]
        == counts["old"]["topic"]
        == {"docs": 24, "units": 24, "labels": {"food": 12, "sport": 12}}
    )
    assert counts["old"]["length"]["docs"] == 24


def test_evaluate_shows_its_heads(folder, trained):
    printed = python("-m", "spacy", "mtl", "evaluate", trained, folder / "dev.spacy")
    assert "acc 100.0" in printed
    assert "closeness" in printed


def test_co_training_takes_its_labels(folder, tmp_path):
    output = tmp_path / "co"
    options = ["--rounds", "1", "--threshold", "topic=0.5", "--training.max_steps", "30"]
    python("-m", "spacy", "mtl", "co-train", folder / "config.cfg", folder / "raw.txt", "--output", output, *options)
    report = json.loads((output / "report.json").read_text())
    assert report["rounds"][1]["heads"]["topic"]["labels"] == 6
    assert report["unable"] == ["length"]


def test_a_report_has_its_section(folder, trained, tmp_path):
    python("-m", "spacy", "mtl", "report", trained, folder / "dev.spacy", "--output", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf8")
    assert '<h2 id="acme-shortest-title">The shortest doc</h2>' in page
    assert re.search(r"<p>food\d is good ?</p>", page)
    # heads that show no decisions have scores, and nothing else
    assert "closeness" in page
    assert 'id="confusions"' not in page


def test_errors_of_heads_without_decisions_say_so(folder, trained):
    printed = python("-m", "spacy", "mtl", "errors", trained, folder / "dev.spacy")
    assert printed.count("no decisions to show") == 2


def test_a_config_from_data_has_the_head_of_the_package(folder, tmp_path):
    config = tmp_path / "proposed.cfg"
    files = folder / "new.spacy", folder / "dev.spacy"
    printed = python("-m", "spacy", "mtl", "init-config", config, "--lang", "xx", "--from-data", *files)
    assert re.search(r"size +length +\d", printed)
    section = Config().from_disk(config, interpolate=False)["components"]["multitask"]["heads"]["size"]
    assert section == {"@mtl_heads": "acme.Length.v1", "scale": 50.0}
