"""Several small corpora, readers of them, and a config that trains on them."""

from copy import deepcopy
from typing import Any

import spacy
from pipelines import ENCODER, heads_config
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import Config

from spacy_mtl.origin import corpus_of
from spacy_mtl.readers.multi_corpus import make_multi_corpus_v1

TWO = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})


def plain_reader(name: str, size: int):
    """A reader of docs that are all different, and that counts how often it was called."""

    def read(nlp):
        read.calls += 1
        for number in range(size):
            words = ["doc", str(number), "of", name]
            yield Example(Doc(nlp.vocab, words=words), Doc(nlp.vocab, words=words))

    read.calls = 0
    return read


def reader_of(sizes: dict[str, int], sampler: Any, *, corpora: dict[str, Any] | None = None, **settings: Any):
    """A MultiCorpus over plain readers, and a blank pipeline to read with."""
    sections = {
        name: {"reader": plain_reader(name, size)} | (corpora or {}).get(name, {}) for name, size in sizes.items()
    }
    return make_multi_corpus_v1(sections, sampler, **settings), spacy.blank("en")


def names_of(examples):
    return [corpus_of(eg.reference) for eg in examples]


def texts_of(examples):
    return [eg.reference.text for eg in examples]


def write(path, docs):
    path.parent.mkdir(parents=True, exist_ok=True)
    DocBin(docs=list(docs)).to_disk(path)
    return path


def spacy_corpus(path):
    return {"@readers": "spacy.Corpus.v1", "path": str(path), "max_length": 0, "gold_preproc": False}


def make_config(corpora, sampler="Proportional", max_epochs=-1, **settings):
    """A training config; `settings` go to corpora by name."""
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"model": model, "heads": TWO})
    config = nlp.config.copy()
    sections = {name: {"reader": spacy_corpus(path)} | settings.get(name, {}) for name, path in corpora.items()}
    options = {"n_docs": 100} if sampler == "Annealed" else {}
    reader = {"@readers": "spacy_mtl.MultiCorpus.v1", "corpora": sections}
    config["corpora"] = {
        "train": reader | {"sampler": {"@mtl_samplers": f"spacy_mtl.{sampler}.v1"} | options, "seed": 1},
        "dev": deepcopy(reader),
    }
    config["training"].update({"max_epochs": max_epochs, "max_steps": 12, "eval_frequency": 6, "seed": 0})
    config["training"]["batcher"] = {"@batchers": "spacy.batch_by_words.v1", "size": 60, "tolerance": 0.2}
    return Config(config)
