"""configs/cross_domain.cfg trains on some domains and reports on one without labels."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from multi import write
from spacy.tokens import Doc

ROOT = Path(__file__).parents[1]
DOMAINS = ("answers", "email", "newsgroup", "reviews", "weblog")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A folder a domain; each has words of its own."""
    folder = tmp_path_factory.mktemp("domains")
    nlp = spacy.blank("en")
    for domain in DOMAINS:
        rng = random.Random(domain)
        for split, size in (("train", 20), ("dev", 5)):
            docs = []
            for _ in range(size):
                words = [rng.choice(["Anna", "Berlin", "reads", domain]) for _ in range(6)]
                tags = ["PROPN" if word in ("Anna", "Berlin") else "VERB" for word in words]
                ents = [{"Anna": "B-PER", "Berlin": "B-LOC"}.get(word, "O") for word in words]
                docs.append(Doc(nlp.vocab, words=words, pos=tags, ents=ents))
            write(folder / domain / f"{split}.spacy", docs)
    return folder


@pytest.mark.parametrize("by", [None, "corpus"])
def test_training_reports_on_the_domain_that_is_held_out(corpora, tmp_path, by):
    settings = ["--training.max_steps", 12, "--training.eval_frequency", 6, "--training.batcher.size", 200]
    if by:
        sharing = json.dumps({"@mtl_sharing": "spacy_mtl.Adapters.v1", "by": by})
        settings += ["--components.multitask.model.sharing", sharing]
    command = [sys.executable, "-m", "spacy", "train", ROOT / "configs" / "cross_domain.cfg", "--output", tmp_path]
    command += ["--paths.corpora", corpora, *settings]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "weblog" in done.stdout
    assert "/pos" in done.stdout
    nlp = spacy.load(tmp_path / "model-last")
    scores = nlp.meta["performance"]
    assert {f"{domain}/{name}" for domain in DOMAINS for name in ("pos_acc", "ents_f")} <= set(scores)
    assert 0.0 < scores["domain_acc"] <= 1.0
    pipe = nlp.get_pipe("multitask")
    assert pipe.heads["domain"].labels == DOMAINS
    # spaCy updates once more before it evaluates for the last time
    assert pipe.heads["domain"].model.get_ref("reversal").attrs["step"] == 13
    assert set(pipe.heads["ents"].labels) == {"LOC", "PER"}
    if by:
        assert pipe.encoder.get_ref("sharing").attrs["corpora"] == list(DOMAINS)


def test_the_model_is_chosen_by_the_domains_with_labels():
    weights = spacy.util.load_config(ROOT / "configs" / "cross_domain.cfg")["training"]["score_weights"]
    assert all("/" in name for name, weight in weights.items() if weight)
    assert not any(weight for name, weight in weights.items() if name.startswith("weblog/"))
